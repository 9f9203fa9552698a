package Bench::Resume;

# What resuming TLS sessions saves, and after how many connections it has paid:
# handshakes with a server, and deliveries from one minim to another, directly
# and over a link with a delay. Three kinds of connection are told apart: "full",
# with resumption off on both sides; "first", a full handshake after which a
# ticket is given and kept; "resumed".

use strict;
use warnings;
use Exporter qw(import);
use Time::HiRes qw(time);
use Bench::Private;
use Bench::Mta;
use Bench::Report;
use Bench::Tls;
use Bench::Work;

our @EXPORT = qw(resume_handshakes resume_deliveries resume_table);

our $DELAY_MS = 30;    # of the link, one way
my ($SERVER_PORT, $LINK_PORT) = (2504, 2610);

# A connection of each kind, counted by the kernel; what is left over from others is not in it.
sub cost {
    my ($mta, $sessions, $count, @arg) = @_;
    my $before = $mta->cpu;
    my $load   = Bench::Work::load($mta, '-c', $sessions, '-m', $count, @arg);
    $mta->settle();
    my $n = $load->{accepted};
    die "$mta->{name}: $load->{refused} of $count connections refused\n" if $load->{refused};
    return {rate => $n / $load->{seconds}, cpu => ($mta->cpu - $before) / 1000 / $n, client => $load->{cpu} / $n,
        share => $load->{resumed} / $n};
}

# Handshakes of the three kinds with one server; a row.
sub three_kinds {
    my ($mta, $version, $count) = @_;
    my @how = ($mta->isa('Bench::Bare') ? '-b' : '-h', '-v', $version);
    my %row;
    for my $tickets (0, 1) {
        $mta->{tls}{tickets} = $tickets;
        $mta->start();
        Bench::Work::load($mta, @how, '-e', '-c', 10, '-m', 20);
        $mta->settle();
        for my $kind ($tickets ? ('first', 'resumed') : 'full') {
            my $cost = cost($mta, 10, $count, @how, $kind eq 'resumed' ? '-k' : '-e');
            $row{"${kind}_$_"} = $cost->{$_} for keys %$cost;
        }
        $mta->stop();
    }
    # each of the ten clients begins with a full one
    die sprintf("%s: only %.0f%% of the sessions were resumed\n", $mta->name, 100 * $row{resumed_share})
      if $row{resumed_share} < 0.9 * (1 - 10 / $count);
    return \%row;
}

# Calls CODE(work, case, mta, sub that measures) for every server, certificate and version.
sub resume_handshakes {
    my ($opt, $common, $programs, $wanted, $code) = @_;
    my @cases = $opt->{quick} ? (['RSA 2048', '1.3']) : map { my $v = $_; map { [$_, $v] } 'RSA 2048', 'P-256' } '1.2', '1.3';
    for my $round (1 .. $opt->{rounds}) {
        for my $case (@cases) {
            my ($type, $version) = @$case;
            for my $mta (tls_servers({%$common, folder => 'plain'}, $programs, $wanted)) {
                %{$mta->{tls}} = (%{$mta->{tls} // {}}, tls_certificate($programs->{pki}, $common->{certs}, $type));
                $code->('resume', "$type, TLS $version", $mta, sub { three_kinds($mta, $version, $opt->{quick} ? 150 : 600) });
            }
        }
    }
    return;
}

# A relay with a delay between $LINK_PORT and $SERVER_PORT.
sub link_with_delay {
    my $pid = fork // die "fork: $!\n";
    if (!$pid) { exec "$Bench::Work::TOOLS/delay", $DELAY_MS, $LINK_PORT, $SERVER_PORT or POSIX::_exit(127) }
    return $pid;
}

# The delivery lines the sender has logged, from byte FROM on: [number, resumed, [seconds...]].
sub delivered {
    my ($mta, $from) = @_;
    my $text = substr slurp("$mta->{root}/log/mainlog") // '', $from;
    my @lines = grep { / => / } split /\n/, $text;
    return [scalar(@lines), scalar(grep { / X=\S+\* / } @lines), [map { / DT=([\d.]+)s/ ? $1 : () } @lines]];
}

# COUNT messages through the sender to the server, of one kind; figures of both per message.
sub deliveries {
    my ($sender, $server, $count) = @_;
    Bench::Work::load($sender, '-c', 5, '-m', 20, '-r', $Bench::Mta::RELAYS);
    wait_until(sub { delivered($sender, 0)->[0] >= 20 }, 30, undef, 0.05)
      or die 'the first 20 messages were not delivered in 30 s: ' . $sender->complaints() . "\n";
    $_->settle() for $sender, $server;
    my $from = -s "$sender->{root}/log/mainlog";
    my ($s, $r, $start) = ($sender->cpu, $server->cpu, time);
    Bench::Work::load($sender, '-c', 5, '-m', $count, '-r', $Bench::Mta::RELAYS);
    wait_until(sub { delivered($sender, $from)->[0] >= $count }, 120, "$sender->{name}: $count messages", 0.02);
    my $taken = time - $start;
    $_->settle() for $sender, $server;
    my $done = delivered($sender, $from);
    return {rate => $count / $taken, cpu => ($server->cpu - $r) / 1000 / $count, client => ($sender->cpu - $s) / 1000 / $count,
        share => $done->[1] / $done->[0], ms => 1000 * (median(@{$done->[2]}) // 0)};
}

# All three kinds between two MTAs; a row. PAIR makes (sender, server) for a kind.
sub pair {
    my ($pair, $delayed, $count) = @_;
    my %row;
    for my $kind ('full', 'first', 'resumed') {
        my ($sender, $server) = $pair->($kind);
        my $relay;
        my $figures = eval {
            $server->start();
            $relay = link_with_delay() if $delayed;
            $sender->start();
            deliveries($sender, $server, $count);
        };
        my $error = $@;
        if ($relay) { kill 'TERM', $relay; waitpid $relay, 0 }
        $_->stop() for $sender, $server;
        die $error if !$figures;
        my $wanted = $kind eq 'resumed' ? $figures->{share} > 0.9 : $figures->{share} == 0;
        die sprintf("%s: %.0f%% of the sessions were resumed in the run \"%s\"\n", $sender->name, 100 * $figures->{share}, $kind) if !$wanted;
        $row{"${kind}_$_"} = $figures->{$_} for keys %$figures;
    }
    return \%row;
}

# [name, sub that makes sender and server for a kind]: the four of minim, exim4 with itself.
sub pairs {
    my ($common, $programs, $wanted, $tls, $version, $delayed) = @_;
    my $make = sub {
        my ($name, $from, $to, $program, @more) = @_;
        return [$name, sub {
            my ($kind) = @_;
            my $server = Bench::Exim->new(%$common, @more, name => 'server', dir => "$common->{dir}-server", folder => 'plain',
                port => $SERVER_PORT, program => $program, discard => 1, tls => {%$tls, backend => $to, tickets => $kind ne 'full'});
            my $sender = Bench::Exim->new(%$common, @more, name => 'sender', port => 2500, program => $program,
                peer => {port => $delayed ? $LINK_PORT : $SERVER_PORT, kind => $kind, version => $version, ca => $tls->{ca}, backend => $from});
            return ($sender, $server);
        }];
    };
    my @all;
    for my $from ('openssl', 'gnutls') {
        push @all, map { $make->("$from to $_", $from, $_, $programs->{minim}) } 'openssl', 'gnutls' if $wanted->{minim};
    }
    push @all, $make->('exim4 to exim4', undef, undef, '/usr/sbin/exim4', compiled_in => 1) if $wanted->{exim4};
    return @all;
}

# As resume_handshakes, for deliveries: WORK is their name, DELAYED whether over the link.
sub resume_deliveries {
    my ($work, $delayed, $opt, $common, $programs, $wanted, $code) = @_;
    my @cases = $opt->{quick} ? (['RSA 2048', '1.3']) : (['RSA 2048', '1.2'], ['RSA 2048', '1.3'], $delayed ? () : ['P-256', '1.3']);
    my $count = $opt->{quick} ? 40 : $delayed ? 60 : 300;
    make_dir("$common->{dir}-server");
    for my $round (1 .. $opt->{rounds}) {
        for my $case (@cases) {
            my ($type, $version) = @$case;
            my %tls = tls_certificate($programs->{pki}, $common->{certs}, $type);
            for my $pair (pairs($common, $programs, $wanted, \%tls, $version, $delayed)) {
                my ($name, $make) = @$pair;
                my ($stands_for) = $make->('full');
                $stands_for->{name} = $name;
                $code->($work, "$type, TLS $version", $stands_for, sub { pair($make, $delayed, $count) });
            }
        }
    }
    return;
}

# ---- the tables ----

sub least { my @v = sort { $a <=> $b } grep { defined } @_; return $v[0] }

# The rounds of one case as one row: least processor times, median rates, and what follows from them.
# `even`: connections after which the first one's extra cost is saved; undef if nothing is saved.
sub summary {
    my ($rounds) = @_;
    my @good = grep { %$_ } @$rounds or return {};
    my %sum;
    for my $key (keys %{$good[0]}) {
        my @values = map { $_->{$key} } @good;
        $sum{$key} = $key =~ /_(?:cpu|client)$/ ? least(@values) : median(@values);
    }
    my @swing = map { my $key = $_; my @v = sort { $a <=> $b } map { $_->{$key} } @good; $v[0] ? $v[-1] / $v[0] - 1 : 0 }
      grep { /_(?:cpu|client)$/ } keys %sum;
    $sum{swing} = 100 * (sort { $b <=> $a } @swing)[0];
    $sum{"${_}_both"} = $sum{"${_}_cpu"} + $sum{"${_}_client"} for 'full', 'first', 'resumed';
    $sum{gain} = $sum{resumed_rate} / $sum{full_rate};
    for my $who ('cpu', 'client', 'both') {
        my ($extra, $saved) = ($sum{"first_$who"} - $sum{"full_$who"}, $sum{"full_$who"} - $sum{"resumed_$who"});
        $sum{"even_$who"} = $saved > 0 ? 1 + ($extra > 0 ? $extra / $saved : 0) : undef;
    }
    $sum{saved_ms} = $sum{full_ms} - $sum{resumed_ms} if $sum{full_ms};
    return \%sum;
}

# Rows, as rounds made them, as table() wants them.
sub resume_table {
    my ($title, $rows, $names, @more) = @_;
    return if !$rows;
    my %sums;
    for my $case (keys %$rows) {
        $sums{$case}{$_} = [summary($rows->{$case}{$_})] for keys %{$rows->{$case}};
    }
    table($title, \%sums, [sort keys %sums], $names,
        ['full/s', 'full_rate', 0], ['resumed/s', 'resumed_rate', 0], ['by full', 'gain', 2], @more,
        ['server ms: full', 'full_cpu', 2], ['first', 'first_cpu', 2], ['resumed', 'resumed_cpu', 2], ['even', 'even_cpu', 2],
        ['client ms: full', 'full_client', 2], ['first', 'first_client', 2], ['resumed', 'resumed_client', 2], ['even', 'even_client', 2],
        ['both: even', 'even_both', 2], ['swing %', 'swing', 0]);
    return;
}

1;
