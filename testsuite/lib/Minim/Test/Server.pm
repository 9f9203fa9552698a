package Minim::Test::Server;

# The scripted server: it answers a number of connections as its script says,
# and prints the dialogue. It runs in a process of its own, beside the commands
# that follow it in the test.

use v5.36;
use IO::Handle;
use IO::Socket::IP;
use IO::Socket::UNIX;
use IO::Select;
use Time::HiRes qw(sleep alarm);
use Minim::Test::Tls;

# Opens the listening sockets. $arg: {where => PORT or path, ipv4, ipv6,
# timeout, count, wait, tls_on_connect, show, tls => options for
# Minim::Test::Tls}. The caller tells the test to go on once this returns.
sub listen_on ($arg) {
    my $self = bless { timeout => 5, count => 1, ipv4 => 1, ipv6 => 1, %$arg, buffer => '' }, __PACKAGE__;
    my $where = $self->{where};
    if ($where =~ m{/}) {
        unlink $where;
        push @{ $self->{listeners} }, IO::Socket::UNIX->new(Local => $where, Listen => 20)
            || die "cannot listen on $where: $!\n";
        chmod 0777, $where;
        return $self;
    }
    for my $family (grep { $self->{$_} } qw(ipv6 ipv4)) {
        my $socket = IO::Socket::IP->new(
            LocalHost => $family eq 'ipv4' ? '0.0.0.0' : '::',
            LocalPort => $where,
            Listen    => 20,
            ReuseAddr => 1,
            ($family eq 'ipv6' ? (V6Only => 1) : ()),
        ) or die "cannot listen on port $where: $!\n";
        push @{ $self->{listeners} }, $socket;
    }
    return $self;
}

# Serves the script; returns the exit code.
sub serve ($self, $lines, $out) {
    $out->autoflush(1);
    @$self{qw(out lines)} = ($out, [@$lines]);
    local $SIG{ALRM} = sub { die { code => 99, text => "\nServer timed out\n" } };
    local $SIG{PIPE} = 'IGNORE';
    $self->_say("Listening on " . ($self->{where} =~ m{/} ? $self->{where} : "port $self->{where}") . " ... ");
    my $done = eval {
        for (1 .. $self->{count}) {
            $self->_accept;
            $self->_connection;
        }
        1;
    };
    my $error = $@;
    alarm 0;
    if (!$done) {
        die $error unless ref $error;
        print {$out} $error->{text};
        return $error->{code};
    }
    $self->_say('End of script');
    return 0;
}

sub _say ($self, $text) { print { $self->{out} } "$text\n"; return }

sub _accept ($self) {
    alarm $self->{timeout};
    my ($ready) = IO::Select->new(@{ $self->{listeners} })->can_read;
    my $socket = $ready->accept or die { code => 97, text => "accept failed: $!\n" };
    alarm 0;
    @$self{qw(socket buffer)} = ($socket, '');
    delete $self->{tls_session};
    my $peer = $socket->can('peerhost') ? '[' . $socket->peerhost . ']' : 'a local process';
    $self->_say("\nConnection request from $peer");
    sleep $self->{wait} if $self->{wait};
    return;
}

# Lines up to *eof or the end of the script belong to one connection.
sub _connection ($self) {
    unshift @{ $self->{lines} }, '*starttls' if $self->{tls_on_connect};
    while (defined(my $line = shift @{ $self->{lines} })) {
        my $more = eval { $self->_line($line) };
        if (my $error = $@) {
            die $error unless ref $error && $error->{closed};
            $self->_skip_to_next;
            last;
        }
        last unless $more;
    }
    $self->{tls_session}->bye if $self->{tls_session};
    delete $self->{tls_session};
    close $self->{socket};
    return;
}

# The client has gone: what the script still had for it is passed over.
sub _skip_to_next ($self) {
    while (defined(my $line = shift @{ $self->{lines} })) {
        last if $line =~ /^(?:>?\*eof|\*eof)/i;
    }
    return;
}

# One line of the script; false when the connection is over.
sub _line ($self, $line) {
    if ($line =~ /^>\*eof/i)           { $self->_say($line); return 0 }
    if ($line =~ /^\*eof/i)            { return $self->_client_must_close }
    if ($line =~ /^\*sleep\s+(\S+)/i)  { $self->_say($line); sleep $1; return 1 }
    if ($line =~ /^\*data\s+(\d+)/i)   { return $self->_read_bytes($1) }
    if ($line =~ /^\*starttls/i)       { return $self->_start_tls }
    if ($line =~ /^(?:>|\d)/)          { return $self->_send($line) }
    if ($line eq '.')                  { return $self->_read_message }
    if ($line =~ /^<<(.*)/s)           { return $self->_expect_characters($1) }
    return $self->_expect_line($line =~ s/^<//r);
}

sub _send ($self, $line) {
    $self->_say($line);
    my $data
        = $line =~ /^>>(.*)/s    ? $1
        : $line =~ /^>CR>(.*)/s  ? "$1\r"
        : $line =~ /^>LF>(.*)/s  ? "$1\n"
        : $line =~ /^>(.*)/s     ? "$1\r\n"
        :                          "$line\r\n";
    $data =~ s/\\x([0-9A-Fa-f]{2})/chr hex $1/ge;
    if ($self->{tls_session}) { $self->{tls_session}->write($data); return 1 }
    while (length $data) {
        my $sent = syswrite $self->{socket}, $data;
        last unless defined $sent;
        substr $data, 0, $sent, '';
    }
    return 1;
}

# More bytes into the buffer; false when the client has closed.
sub _fill ($self) {
    alarm $self->{timeout};
    my $data = '';
    my $got = $self->{tls_session} ? $self->{tls_session}->read($data) : sysread $self->{socket}, $data, 65536;
    alarm 0;
    return 0 unless $got;
    $self->{buffer} .= $data;
    return 1;
}

sub _unexpected_eof ($self) {
    $self->_say('Unexpected EOF read from client');
    die { closed => 1 };
}

sub _get_line ($self) {
    while ($self->{buffer} !~ /\n/) { $self->_fill or $self->_unexpected_eof }
    $self->{buffer} =~ s/^([^\n]*)\n//;
    return $1 =~ s/\r$//r;
}

sub _client_must_close ($self) {
    if ($self->{buffer} ne '' || $self->_fill) {
        my ($first) = $self->{buffer} =~ /^([^\r\n]*)/;
        die { code => 74, text => "Expected EOF, got '$first'\n" };
    }
    $self->_say('Expected EOF read from client');
    return 0;
}

sub _read_bytes ($self, $count) {
    while (length $self->{buffer} < $count) { $self->_fill or $self->_unexpected_eof }
    my $data = substr $self->{buffer}, 0, $count, '';
    $self->_say($_ =~ s/\r$//r) for split /\n/, $data;
    return 1;
}

sub _read_message ($self) {
    while (1) {
        my $line = $self->_get_line;
        $self->_say($line);
        return 1 if $line eq '.';
    }
}

sub _expect_characters ($self, $wanted) {
    while (length $self->{buffer} < length $wanted) { $self->_fill or $self->_unexpected_eof }
    my $got = substr $self->{buffer}, 0, length $wanted, '';
    $self->_say("<<$got");
    $self->_mismatch($wanted) if $got ne $wanted;
    return 1;
}

sub _expect_line ($self, $wanted) {
    my $got = $self->_get_line;
    $self->_say($got);
    $self->_mismatch($wanted) if lc substr($got, 0, length $wanted) ne lc $wanted;
    return 1;
}

sub _mismatch ($self, $wanted) {
    die { code => 79, text => "Comparison failed - bailing out\nExpected: $wanted\n" };
}

sub _start_tls ($self) {
    alarm $self->{timeout};
    my ($tls, $reason) = Minim::Test::Tls::server($self->{socket}, $self->{tls} // {});
    alarm 0;
    if (!$tls) {
        $self->_say('Failed to start TLS' . ($self->{show} ? ": $reason" : ''));
        die { closed => 1 };
    }
    $self->_say('TLS session started');
    $self->_say("TLS: $_") for $self->{show} ? $tls->facts : ();
    $self->{tls_session} = $tls;
    return 1;
}

1;
