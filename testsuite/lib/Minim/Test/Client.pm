package Minim::Test::Client;

# The scripted SMTP client. It speaks over one connection, prints the dialogue
# to its output, and returns an exit code: 0 at the end of the script, else the
# code of the first thing that went wrong.

use v5.36;
use IO::Socket::IP;
use IO::Socket::UNIX;
use IO::Handle;
use Time::HiRes qw(sleep alarm);
use Minim::Test::File qw(slurp);
use Minim::Test::Staple;
use Minim::Test::Tls;
use Minim::Test::TlsGnutls;

my %EXIT = (
    usage => 70, connect => 85, read => 81, eof => 80, not_eof => 74, mismatch => 79, timeout => 99, tls => 78,
);

# Connects and runs the script's lines. $arg: {host, port, interface, timeout,
# tls_on_connect, library => openssl or gnutls, show, brief => tells the dialogue
# only if it fails, tls => options for Minim::Test::Tls}. $out is the file handle the dialogue is written to.
sub run ($arg, $lines, $out) {
    $out->autoflush(1);
    my $self = bless {
        %$arg, out => $out, buffer => '', lines => [@$lines], timeout => $arg->{timeout} // 5,
    }, __PACKAGE__;
    local $SIG{ALRM} = sub { die { code => $EXIT{timeout}, text => "\n*** client timed out ***\n" } };
    local $SIG{PIPE} = 'IGNORE';
    my $done = eval { $self->_dialogue; 1 };
    my $error = $@;
    alarm 0;
    return 0 if $done;
    die $error unless ref $error;
    print {$out} $self->{hidden} // q() if $error->{code} != $EXIT{tls};
    print {$out} $error->{text};
    return $error->{code};
}

sub _fail ($kind, $text) { die { code => $EXIT{$kind}, text => $text } }

sub _dialogue ($self) {
    $self->_connect;
    $self->_start_tls if $self->{tls_on_connect};
    while (defined(my $line = shift @{ $self->{lines} })) {
        if    ($line =~ /^\?\?\?(\?? |\*)/) { $self->_expect($line) }
        elsif ($line =~ /^\+\+\+ (\S+)/)    { $self->_pause($line, $1) }
        elsif ($line =~ /^<<< (\S+)/)       { unshift @{ $self->{lines} }, split /\n/, slurp($1) }
        elsif ($line =~ /^stoptls\b/i)      { $self->_stop_tls }
        else                                { $self->_send($line) }
    }
    $self->_say('End of script');
    $self->{tls_session}->bye if $self->{tls_session};
    delete $self->{tls_session};
    close $self->{socket};
    return;
}

sub _say ($self, $text) { return $self->_print("$text\n") }

sub _print ($self, $text) {
    if ($self->{brief}) { $self->{hidden} .= $text }
    else                { print { $self->{out} } $text }
    return;
}

# What is told in any case.
sub _tell ($self, $text) { print { $self->{out} } "$text\n"; return }

sub _connect ($self) {
    my ($host, $port) = @$self{qw(host port)};
    my $where = defined $port && $port ne '' ? "$host port $port" : $host;
    $self->_print("Connecting to $where ... ");
    alarm $self->{timeout};
    my $socket
        = $host =~ m{^/}
        ? IO::Socket::UNIX->new(Peer => $host)
        : IO::Socket::IP->new(
            PeerHost => $host,
            PeerPort => $port,
            ($self->{interface} ? (LocalHost => $self->{interface}) : ()),
        );
    alarm 0;
    if (!$socket) {
        my $reason = $! || $@;
        _fail('connect', "failed: $reason\n");
    }
    $self->{socket} = $socket;
    $self->_say('connected');
    return;
}

sub _start_tls ($self) {
    my $start = ($self->{library} // 'openssl') eq 'gnutls' ? \&Minim::Test::TlsGnutls::client : \&Minim::Test::Tls::client;
    $self->_say('Attempting to start TLS');
    alarm $self->{timeout};
    my ($tls, $reason) = $start->($self->{socket}, $self->{tls} // {});
    alarm 0;
    _fail('tls', "Failed to start TLS\n" . ($self->{show} ? "$reason\n" : '')) unless $tls;
    $self->_say('Succeeded in starting TLS');
    $self->{tls_session} = $tls;
    $self->_tell("TLS: $_") for $self->{show} ? $tls->facts : ();
    my $ca = $self->{tls}{ca} or return;
    $self->_tell('OCSP: ' . Minim::Test::Staple::judge($ca, [$tls->chain], $tls->responses));
    return;
}

sub _stop_tls ($self) {
    $self->_say('stoptls');
    $self->{tls_session}->shutdown if $self->{tls_session};
    delete $self->{tls_session};
    return;
}

sub _pause ($self, $line, $seconds) {
    $self->_say($line);
    sleep $seconds;
    return;
}

# Bytes from the server; '' at the end of the connection.
sub _read ($self) {
    alarm $self->{timeout};
    my $data = '';
    my $got = $self->{tls_session} ? $self->{tls_session}->read($data) : sysread $self->{socket}, $data, 65536;
    alarm 0;
    _fail('read', "Read error $!\n") if !defined $got && !$!{ECONNRESET};
    return $data;
}

# A line from the server without its end, or undef when it has closed.
sub _read_line ($self) {
    while ($self->{buffer} !~ /\n/) {
        my $data = $self->_read;
        if ($data eq '') {
            return if $self->{buffer} eq '';
            last;
        }
        $self->{buffer} .= $data;
    }
    $self->{buffer} =~ s/^([^\n]*)\n?//;
    return $1 =~ s/\r$//r;
}

sub _expect ($self, $line) {
    $self->_say($line);
    return $self->_expect_eof if $line =~ /^\?\?\?\*/;
    my ($optional, $wanted) = $line =~ /^\?\?\?(\??) (.*)$/s;
    while (1) {
        my $got = $self->_read_line;
        return if $optional && !defined $got;
        _fail('eof', "Unexpected EOF read\n") unless defined $got;
        my $fits = substr($got, 0, length $wanted) eq $wanted;
        if ($optional && !$fits) {
            $self->{buffer} = "$got\r\n$self->{buffer}";
            return;
        }
        $self->_say("<<< $got");
        _fail('mismatch', "\n******** Input mismatch ********\n") unless $fits;
        return unless $optional;
    }
}

sub _expect_eof ($self) {
    my $got = $self->_read_line;
    _fail('not_eof', "<<< $got\nExpected EOF not read\n") if defined $got;
    $self->_say('Expected EOF read');
    return;
}

my %ESCAPE = (r => "\r", n => "\n", t => "\t", '\\' => '\\');

sub unescape ($text) {
    return $text =~ s/\\(?:x([0-9A-Fa-f]{2})|([rnt\\]))/defined $1 ? chr hex $1 : $ESCAPE{$2}/ger;
}

sub _send ($self, $line) {
    my $data;
    if ($line =~ /^>>> (.*)$/s) {
        $data = unescape($1);
        $self->_say($line);
    }
    else {
        $data = unescape($line) . "\r\n";
        $self->_say(">>> $line");
    }
    my ($starttls, $wait) = $line =~ /^(starttls)(_wait)?$/i;
    $data = "$1\r\n" if $starttls;
    $self->_write($data);
    $self->_consent if $starttls && !$wait;
    return;
}

sub _write ($self, $data) {
    alarm $self->{timeout};
    if ($self->{tls_session}) { $self->{tls_session}->write($data) }
    else {
        while (length $data) {
            my $sent = syswrite $self->{socket}, $data;
            last unless defined $sent;
            substr $data, 0, $sent, '';
        }
    }
    alarm 0;
    return;
}

# After STARTTLS: TLS starts only if the server says 220.
sub _consent ($self) {
    my $wanted = shift @{ $self->{lines} };
    $self->_expect($wanted // '??? 220');
    $self->_start_tls if !defined $wanted || $wanted =~ /^\?\?\?\?? 220/;
    return;
}

1;
