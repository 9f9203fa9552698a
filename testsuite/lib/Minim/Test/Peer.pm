package Minim::Test::Peer;

# What the programs in testsuite/peers share: to start a real server, to say when
# it serves, to end it. A peer runs in the test's world, as a process of its own.

use v5.36;
use IO::Socket::IP;
use Time::HiRes qw(sleep time);
use Exporter qw(import);
our @EXPORT_OK = qw(skip serve_until_ended answers_dns spew);

# There will be no peer, and so no test.
sub skip ($why) { local $| = 1; say "skip $why"; exit 0 }

sub spew ($file, $text) {
    open my $out, '>', $file or die "$file: $!\n";
    print {$out} $text;
    close $out or die "$file: $!\n";
    return;
}

# Runs a program that stays in the foreground, its output into a file; says
# "ready" once the function is true; ends it on SIGTERM. Does not return.
sub serve_until_ended ($log, $ready, @argv) {
    local $| = 1;
    my $pid = fork // die "fork: $!\n";
    if (!$pid) {
        open STDOUT, '>', $log or die "$log: $!\n";
        open STDERR, '>&', \*STDOUT;
        exec @argv or exit 127;
    }
    local $SIG{TERM} = sub { kill TERM => $pid; waitpid $pid, 0; exit 0 };
    my $end = time + 15;
    until ($ready->()) {
        if (waitpid($pid, 1) == $pid || time > $end) { print STDERR "$argv[0] does not serve; see $log\n"; exit 1 }
        sleep 0.02;
    }
    say 'ready';
    waitpid $pid, 0;
    exit 1;
}

# Whether a name server there has a word on this name (SOA).
sub answers_dns ($address, $port, $name) {
    my $socket = IO::Socket::IP->new(PeerHost => $address, PeerPort => $port, Proto => 'udp') or return 0;
    my $query = pack('n6', 4711, 0x0100, 1, 0, 0, 0) . join('', map { pack 'C/a*', $_ } split(/\./, $name), '') . pack('nn', 6, 1);
    $socket->send($query);
    my $bits = '';
    vec($bits, fileno $socket, 1) = 1;
    return 0 unless select $bits, undef, undef, 0.5;
    my $reply;
    return defined $socket->recv($reply, 4096) && length $reply > 12;
}

1;
