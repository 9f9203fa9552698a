package Bench::Tls;

# What TLS costs: full handshakes and messages over STARTTLS, by each library of
# minim, by the other MTAs, and by each library alone.

use strict;
use warnings;
use Exporter qw(import);
use Time::HiRes qw(time);
use Bench::Private;
use Bench::Mta;
use Bench::Bare;
use Bench::Work;

our @EXPORT = qw(tls_rows tls_servers tls_certificate);

my %CERTIFICATE = ('RSA 2048' => 'server1', 'P-256' => 'server1-ec');

# What is measured: COMMON (dir, cgroup), PROGRAMS (minim, exim4, the bare server; the folder of
# Postfix), names of MTAs wanted.
sub tls_servers {
    my ($common, $programs, $wanted) = @_;
    my @all;
    for my $library ('openssl', 'gnutls') {
        push @all, Bench::Bare->new(%$common, name => "bare-$library", library => $library, port => 2520, program => $programs->{bare});
        push @all, Bench::Exim->new(%$common, name => "minim-$library", library => $library, port => 2500, program => $programs->{minim},
            tls => {backend => $library})
          if $wanted->{minim};
    }
    push @all, Bench::Exim->new(%$common, name => 'exim4', library => 'gnutls', port => 2501, program => '/usr/sbin/exim4', compiled_in => 1)
      if $wanted->{exim4};
    push @all, Bench::Postfix->new(%$common, name => 'postfix', library => 'openssl', port => 2502, package => $programs->{postfix})
      if $wanted->{postfix};
    return @all;
}

# Copies that every user may read.
sub tls_certificate {
    my ($pki, $dir, $type) = @_;
    my $name = $CERTIFICATE{$type};
    for my $file ("$name.chain.pem", "$name.key", 'ca.pem') {
        spit("$dir/$file", slurp("$pki/$file") // die "$pki/$file: $!\n");
        chmod 0644, "$dir/$file";
    }
    return (cert => "$dir/$name.chain.pem", key => "$dir/$name.key", ca => "$dir/ca.pem");
}

# Handshakes for SECONDS; what one costs the server.
sub handshakes {
    my ($mta, $sessions, $seconds) = @_;
    my $how = $mta->isa('Bench::Bare') ? '-b' : '-h';
    $mta->start();
    Bench::Work::load($mta, $how, '-c', $sessions, '-m', 20);
    $mta->settle();
    my $before = $mta->cpu;
    my $load   = Bench::Work::load($mta, $how, '-c', $sessions, '-t', $seconds);
    $mta->settle();
    my $n = $load->{accepted};
    return {rate => $n / $load->{seconds}, cpu => ($mta->cpu - $before) / 1000 / $n, p50 => $load->{p50}, p99 => $load->{p99},
        refused => $load->{refused}, messages => $n};
}

# Rates and costs by those of the library alone, in the same round.
sub compare {
    my ($row, $bare) = @_;
    $row->{limit} = $row->{rate} / $bare->{rate} if $bare->{rate};
    $row->{extra} = $row->{cpu} - $bare->{cpu}   if defined $bare->{cpu};
    return;
}

# Calls CODE(work, case, mta, sub that measures) for everything there is to measure, in turn.
sub tls_rows {
    my ($opt, $common, $programs, $wanted, $code) = @_;
    for my $round (1 .. $opt->{rounds}) {
        for my $type (sort keys %CERTIFICATE) {
            my %bare;
            for my $mta (tls_servers($common, $programs, $wanted)) {
                %{$mta->{tls}} = (%{$mta->{tls} // {}}, tls_certificate($programs->{pki}, $common->{certs}, $type));
                my $row = $code->('handshakes', "$type, 10 connections", $mta, sub { handshakes($mta, 10, $opt->{seconds}) });
                $bare{$mta->{library}} = $row if $mta->isa('Bench::Bare');
                compare($row, $bare{$mta->{library}}) if $row->{rate};
                next if $mta->isa('Bench::Bare') || $type !~ /RSA/;
                $code->('messages', "$type, 10 connections", $mta, sub {
                    $mta->start();
                    Bench::Work::throughput($mta, 10, $opt->{seconds}, sub { $mta->delivered }, '-s', '-u', $Bench::Mta::USERS);
                });
            }
        }
    }
    return;
}

1;
