package Bench::Work;

# The workloads. Each takes an MTA and its parameters, starts it afresh, measures,
# stops it, and returns a row: a hash of figures. What a message costs is the
# difference of the counters before and after, over the messages.

use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use Time::HiRes qw(time sleep);
use Bench::Private;
use Bench::Mta;

our ($TOOLS, $TRACEFS, $SINK_PROGRAM);

# Runs the load; returns what it counted.
sub load {
    my ($mta, @arg) = @_;
    my $out = qx{"$TOOLS/load" @arg 127.0.0.1 $mta->{port}};
    my %got = $out =~ /(\w+) ([\d.]+)/g;
    die "the load on $mta->{name} failed; " . $mta->complaints() . "\n" unless $got{accepted};
    return \%got;
}

# Counters of the kernel over an MTA's processes: an object with read() and stop().
{
    package Bench::Work::Meter;

    sub new {
        my ($class, $mta) = @_;
        require IPC::Open2;
        my $pid = IPC::Open2::open2(my $out, my $in, "$Bench::Work::TOOLS/meter", 'count', $mta->{group}, $Bench::Work::TRACEFS);
        return bless {in => $in, out => $out, pid => $pid, mta => $mta}, $class;
    }

    sub totals {
        my ($self) = @_;
        print {$self->{in}} "\n";
        $self->{in}->flush;
        my $line  = readline($self->{out}) // '';
        my %total = $line =~ /(\w+) (\d+)/g;
        $total{cpu} = $self->{mta}->cpu / 1000;
        return \%total;
    }

    sub stop {
        my ($self) = @_;
        close $self->{in};
        waitpid $self->{pid}, 0;
        return;
    }
}

# What each of N messages cost, between two readings.
sub per_message {
    my ($from, $to, $n) = @_;
    return map { ($_ => ($to->{$_} - $from->{$_}) / $n) } keys %$to;
}

# Accepts and delivers (COUNT tells how many have arrived) for SECONDS.
sub throughput {
    my ($mta, $sessions, $seconds, $count, @arg) = @_;
    load($mta, '-c', $sessions < 5 ? $sessions : 5, '-m', 20, @arg);    # processes exist, caches are warm
    wait_until(sub { $count->() >= 20 }, 15)
      or die "$mta->{name} did not deliver the first 20 messages in 15 s: " . $mta->complaints() . "\n";
    $mta->settle();
    my $meter = Bench::Work::Meter->new($mta);
    my ($base, $before, $start) = ($count->(), $meter->totals, time);
    my $load = load($mta, '-c', $sessions, '-t', $seconds, @arg);
    my $n    = $load->{accepted};
    wait_until(sub { $count->() - $base >= $n }, 60, undef, 0.005);
    my $taken = time - $start;
    $mta->settle();
    my $after = $meter->totals;
    $meter->stop();
    my $arrived = $count->() - $base;
    return {
        rate     => $arrived / $taken,
        accepted => $n / $load->{seconds},
        p50      => $load->{p50},
        p99      => $load->{p99},
        again    => $load->{reconnects},
        refused  => $load->{refused},
        lost     => $arrived < $n ? $n - $arrived : 0,
        twice    => $arrived > $n + $load->{refused} ? $arrived - $n : 0,
        messages => $n,
        per_message($before, $after, $n),
    };
}

sub accept_and_deliver {
    my ($mta, $sessions, $seconds) = @_;
    $mta->start();
    return throughput($mta, $sessions, $seconds, sub { $mta->delivered }, '-u', $Bench::Mta::USERS);
}

sub relay {
    my ($mta, $sessions, $seconds) = @_;
    my $sink = Bench::Work::Sink->new("$mta->{dir}.sink");
    my $row  = eval {
        $mta->start();
        throughput($mta, $sessions, $seconds, sub { $sink->count }, '-r', $Bench::Mta::RELAYS);
    };
    my $error = $@;
    $sink->stop();
    die $error if !$row;
    return $row;
}

# The server messages are relayed to: Postfix's smtp-sink, which counts.
{
    package Bench::Work::Sink;

    sub new {
        my ($class, $file) = @_;
        my $pid = fork // die "fork: $!\n";
        if (!$pid) {
            open STDOUT, '>', $file;
            open STDERR, '>', '/dev/null';
            exec $Bench::Work::SINK_PROGRAM, '-u', 'nobody', '-c', "0.0.0.0:$Bench::Mta::SINK", '1000' or POSIX::_exit(127);
        }
        my $self = bless {pid => $pid, file => $file}, $class;
        Bench::Private::wait_until(sub { Bench::Private::port_open($Bench::Mta::SINK) }, 5, 'smtp-sink');
        return $self;
    }

    # It rewrites one line again and again; the last figure counts.
    sub count {
        my ($self) = @_;
        open my $h, '<', $self->{file} or return 0;
        seek $h, -200, 2 or seek $h, 0, 0;
        local $/ = undef;
        my @n = (readline($h) // '') =~ /mesg=(\d+)/g;
        return $n[-1] // 0;
    }

    sub stop {
        my ($self) = @_;
        kill 'TERM', $self->{pid};
        waitpid $self->{pid}, 0;
        return;
    }
}

# Memory at rest, and of CONNECTIONS that have said EHLO and are silent.
# What one more idle connection costs: between a tenth of them, by which programs and libraries are
# in memory once for all, and the whole.
sub idle {
    my ($mta, $connections) = @_;
    $mta->start();
    $mta->settle();
    my $rest = $mta->memory;
    my ($few, @open) = (int($connections / 10));
    my $upto = sub {
        my ($n) = @_;
        while (@open < $n) { push @open, greeted($mta) }
        $mta->settle();
        return $mta->memory;
    };
    my ($first, $full) = ($upto->($few), $upto->($connections));
    my $processes = () = $mta->pids;
    return {rest => $rest / 1024, each => ($full - $first) / ($connections - $few), processes => $processes};
}

# A connection that has said EHLO.
sub greeted {
    my ($mta) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $mta->port, Timeout => 5)
      or die "$mta->{name}: no connection: $!\n";
    expect($s, '220');
    print $s "EHLO load.test\r\n";
    expect($s, '250');
    return $s;
}

# Reads a reply.
sub expect {
    my ($socket, $code) = @_;
    local $SIG{ALRM} = sub { die "no reply in 10 s\n" };
    alarm 10;
    while (defined(my $line = readline $socket)) {
        next if $line =~ /^\d{3}-/;
        alarm 0;
        return if $line =~ /^$code/;
        die "wanted $code, got $line";
    }
    alarm 0;
    die "connection lost\n";
}

# A whole run of a program: wall clock and processor time in ms, size in MiB.
sub start_up {
    my (@argv) = @_;
    my %got = do {
        open my $h, '-|', "$TOOLS/meter", 'time', @argv or die "meter: $!\n";
        my $line = readline($h) // '';
        $line =~ /(\w+) ([\d.]+)/g;
    };
    die "failed: @argv\n" if !%got || $got{status};
    return {wall => $got{wall}, cpu => $got{cpu}, rss => $got{rss} / 1024};
}

1;
