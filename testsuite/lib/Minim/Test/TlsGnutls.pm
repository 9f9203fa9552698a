package Minim::Test::TlsGnutls;

# TLS for the scripted client by GnuTLS: gnutls-cli as a child, which talks to us
# through pipes. It can only connect by itself, so it connects to a relay, another
# child, that passes on what comes over the socket the script has opened. Options
# and methods of a session are those of Minim::Test::Tls.

use v5.36;
use File::Temp qw(tempdir);
use IO::Handle;
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Minim::Test::File qw(slurp);
use Minim::Test::Tls;

my $PROGRAM = '/usr/bin/gnutls-cli';

my %KEYTYPE = (
    rsa     => '-SIGN-ALL:+SIGN-RSA-SHA256:+SIGN-RSA-PSS-RSAE-SHA256',
    ecdsa   => '-SIGN-ALL:+SIGN-ECDSA-SECP256R1-SHA256:+SIGN-ECDSA-SHA256',
    ed25519 => '-SIGN-ALL:+SIGN-EDDSA-ED25519',
);

sub available () { return -x $PROGRAM }

# Starts TLS as client on a connected socket. Returns the session, or (undef,
# reason).
sub client ($socket, $option) {
    return (undef, 'gnutls-cli is not installed') unless available();
    my $self = bless { %$option, folder => tempdir('gnutls.XXXXXX', TMPDIR => 1, CLEANUP => 1), buffer => '' }, __PACKAGE__;
    my $port = $self->_start_relay($socket);
    $self->_start_program($port);
    # All that is said before the first byte of the session.
    while ($self->{buffer} !~ /^- Simple Client Mode:\n\n/m) {
        return (undef, $self->_reason) unless sysread $self->{from}, $self->{buffer}, 65536, length $self->{buffer};
    }
    ($self->{talk}, $self->{buffer}) = split /^- Simple Client Mode:\n\n/m, $self->{buffer}, 2;
    return $self;
}

sub _start_relay ($self, $socket) {
    my $listener = IO::Socket::IP->new(LocalHost => '127.0.0.1', LocalPort => 0, Listen => 1) or die "relay: $@\n";
    my $port = $listener->sockport;
    $self->{relay} = fork // die "fork: $!\n";
    return $port if $self->{relay};
    my $inner = $listener->accept or POSIX::_exit(1);
    close $listener;
    _relay($inner, $socket);
    POSIX::_exit(0);
}

# Passes bytes in both directions until the program has closed.
sub _relay ($inner, $outer) {
    my $select = IO::Select->new($inner, $outer);
    while (1) {
        for my $from ($select->can_read) {
            my $to = $from == $inner ? $outer : $inner;
            if (sysread $from, my $data, 65536) {
                while (length $data) { substr $data, 0, syswrite($to, $data) // return, '' }
                next;
            }
            return if $from == $inner;
            $select->remove($outer);
            shutdown $inner, 1;
        }
    }
    return;
}

sub _start_program ($self, $port) {
    pipe my $its_input, my $to   or die "pipe: $!\n";
    pipe my $from, my $its_output or die "pipe: $!\n";
    my @argv = $self->_arguments($port);
    $self->{program} = fork // die "fork: $!\n";
    if (!$self->{program}) {
        POSIX::dup2(fileno $its_input,  0);
        POSIX::dup2(fileno $its_output, 1);
        POSIX::dup2(fileno $its_output, 2);
        exec @argv or POSIX::_exit(127);
    }
    $to->autoflush(1);
    @$self{qw(to from)} = ($to, $from);
    return;
}

sub _arguments ($self, $port) {
    my $priority = 'NORMAL';
    $priority .= ":-VERS-ALL:+VERS-TLS$self->{version}" if $self->{version};
    $priority .= ":$KEYTYPE{ $self->{keytype} }" if $self->{keytype};
    my @argv = ($PROGRAM, '--insecure', "--priority=$priority", "--save-cert=$self->{folder}/chain");
    push @argv, $self->{sni} ? "--sni-hostname=$self->{sni}" : '--disable-sni';
    push @argv, "--save-ocsp-multi=$self->{folder}/ocsp" if $self->{ca};
    push @argv, "--x509certfile=$self->{cert}", '--x509keyfile=' . ($self->{key} || $self->{cert}) if $self->{cert};
    push @argv, map { "--alpn=$_" } @{ $self->{alpn} // [] };
    return (@argv, '-p', $port, '127.0.0.1');
}

# Why the handshake failed, in the words of Minim::Test::Tls.
sub _reason ($self) {
    my $text = $self->{buffer};
    return 'received alert: ' . ($Minim::Test::Tls::ALERT{$1} // $1) if $text =~ /Received alert \[(\d+)\]/;
    return 'connection closed' if $text =~ /non-properly terminated|Error in the (?:push|pull) function/;
    return $text =~ /\*\*\* Fatal error: (.*)/ ? $1 : $text;
}

sub facts ($self) {
    my $talk = $self->{talk};
    my @facts = $talk =~ /^- Description: \((TLS[\d.]+)/m;
    push @facts, "ALPN $1" if $talk =~ /^- Application protocol: (.*)/m;
    my @chain = $self->chain;
    push @facts, 'certificate ' . Minim::Test::Tls::subject($chain[0]) if @chain;
    return @facts;
}

sub chain ($self) { return _blocks("$self->{folder}/chain", 'CERTIFICATE') }

sub responses ($self) {
    require MIME::Base64;
    return map { s/-----.*?-----//gr } map { MIME::Base64::decode_base64(s/^-----.*\n//mgr) } _blocks("$self->{folder}/ocsp", 'OCSP RESPONSE');
}

sub _blocks ($file, $name) {
    return unless -e $file;
    return slurp($file) =~ /^(-----BEGIN $name-----\n.*?^-----END $name-----\n)/msg;
}

# Puts what is there into $_[1]; returns its length, 0 at the end. The program's
# own words at the end of the session are no part of it.
sub read {    ## no critic (the name of the operation)
    my ($self) = @_;
    sysread $self->{from}, $self->{buffer}, 65536 if $self->{buffer} eq '';
    $_[1] = delete($self->{buffer}) =~ s/^(?:- Peer has closed the GnuTLS connection|\*\*\* (?:Fatal error|Received alert).*)\n//mgr;
    $self->{buffer} = '';
    return length $_[1];
}

sub write ($self, $data) { return print { $self->{to} } $data }

# Sends close-notify; so does the program when its input ends.
sub bye ($self) { return close $self->{to} }

# Says goodbye; the connection itself cannot be used in clear afterwards.
sub shutdown ($self) {
    close $self->{to};
    1 while sysread $self->{from}, my $rest, 65536;
    waitpid $self->{program}, 0;
    return;
}

sub DESTROY ($self) {
    return unless $self->{program};
    close $self->{to};
    kill TERM => $self->{program} unless defined $self->{talk};
    waitpid $_, 0 for $self->{program}, $self->{relay};
    return;
}

1;
