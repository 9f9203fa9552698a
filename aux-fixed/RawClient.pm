package RawClient;

# What tests of hostile clients share: a connection on which texts are sent as they are. Each text
# and the replies to it are printed, with runs of a character shortened.

use v5.36;
use Exporter qw(import);
use IO::Socket::IP;
use Socket qw(SOL_SOCKET SO_LINGER);
our @EXPORT = qw(dial reply put raw talk transfer reset_connection drain);

# TEXT with what cannot be printed made visible, and long runs of a character as `c{N}`.
sub shown ($text) {
    $text =~ s/\\/\\\\/g;
    $text =~ s/\r/\\r/g;
    $text =~ s/\n/\\n/g;
    $text =~ s/([^ -~])/sprintf '\\x%02x', ord $1/ge;
    $text =~ s/(\\x..|[^\\])\1{19,}/$1 . '{' . length($&) \/ length($1) . '}'/ge;
    return $text;
}

$| = 1;

sub dial ($port, $host = '127.0.0.1') {
    my $sock = IO::Socket::IP->new(PeerAddr => $host, PeerPort => $port, Type => SOCK_STREAM)
      or die "no connection to $host $port: $@\n";
    binmode $sock;
    return { sock => $sock, in => '' };
}

# The next line of the server, or undef when it has closed or is silent for SECONDS.
sub line ($peer, $seconds = 20) {
    until ($peer->{in} =~ /\n/) {
        my $bits = '';
        vec($bits, fileno $peer->{sock}, 1) = 1;
        select($bits, undef, undef, $seconds) or return 'silence';
        my $got = sysread $peer->{sock}, $peer->{in}, 65536, length $peer->{in};
        if (!$got) {
            my $rest = $peer->{in};
            $peer->{in} = '';
            return length $rest ? $rest : undef;
        }
    }
    $peer->{in} =~ s/^(.*?\n)//s;
    return $1;
}

# Prints a whole reply; true unless the server has closed.
sub reply ($peer, $seconds = 20) {
    while (1) {
        my $line = line($peer, $seconds);
        if (!defined $line) { say '<<< closed'; return 0 }
        if ($line eq 'silence') { say '<<< silence'; return 1 }
        $line =~ s/\r\n$//;
        say '<<< ', shown($line);
        return 1 if $line !~ /^\d{3}-/;
    }
}

sub put ($peer, $text) {
    local $SIG{PIPE} = 'IGNORE';
    my $at = 0;
    while ($at < length $text) {
        my $wrote = syswrite $peer->{sock}, $text, length($text) - $at, $at;
        last if !defined $wrote;
        $at += $wrote;
    }
    return;
}

# Sends TEXT as it is, and prints COUNT replies.
sub raw ($peer, $text, $count = 1) {
    say '>>> ', shown($text);
    put($peer, $text);
    while ($count-- > 0) { reply($peer) or return 0 }
    return 1;
}

# A conversation: the banner, then each line (without its CRLF) and its reply.
sub talk ($port, @lines) {
    my $peer = dial($port);
    reply($peer);
    for my $line (@lines) { raw($peer, "$line\r\n") or last }
    close $peer->{sock};
    return;
}

# Ends a connection with RST.
sub reset_connection ($peer) {
    setsockopt $peer->{sock}, SOL_SOCKET, SO_LINGER, pack 'II', 1, 0;
    close $peer->{sock};
    return;
}

# Prints what is left until the server closes.
sub drain ($peer, $seconds = 20) {
    while (1) {
        my $line = line($peer, $seconds);
        if (!defined $line) { say '<<< closed'; return }
        if ($line eq 'silence') { say '<<< silence'; return }
        $line =~ s/\r\n$//;
        say '<<< ', shown($line);
    }
}

# A conversation up to DATA's 354, the message TEXT as it is, and QUIT.
sub transfer ($port, $text, $rcpt = 'userx@test.ex') {
    my $peer = dial($port);
    reply($peer);
    for my $line ('EHLO client.test.ex', 'MAIL FROM:<a@test.ex>', "RCPT TO:<$rcpt>", 'DATA') {
        put($peer, "$line\r\n");
        1 while (line($peer) // '') =~ /^\d{3}-/;
    }
    raw($peer, $text) and raw($peer, "QUIT\r\n");
    close $peer->{sock};
    return;
}

1;
