package Minim::Test::Tls;

# TLS for the scripted client and server, by Net::SSLeay, which is loaded only
# when a script asks for TLS. Certificates are not verified: what the MTA presents
# is a matter of tests of their own.

use v5.36;

sub available () { return eval { require Net::SSLeay; 1 } }

# Starts TLS as client or server on a connected socket. $option: {cert, key}.
# Returns the session, or (undef, reason).
sub client ($socket, $option) { return _start($socket, $option, 0) }
sub server ($socket, $option) { return _start($socket, $option, 1) }

sub _start ($socket, $option, $is_server) {
    return (undef, 'Net::SSLeay is not installed') unless available();
    Net::SSLeay::initialize();
    my $method = $is_server ? Net::SSLeay::TLS_server_method() : Net::SSLeay::TLS_client_method();
    my $context = Net::SSLeay::CTX_new_with_method($method) or return (undef, _error());
    if ($option->{cert}) {
        Net::SSLeay::CTX_use_certificate_chain_file($context, $option->{cert}) or return (undef, _error());
        Net::SSLeay::CTX_use_PrivateKey_file($context, $option->{key} // $option->{cert}, Net::SSLeay::FILETYPE_PEM())
            or return (undef, _error());
    }
    my $session = Net::SSLeay::new($context) or return (undef, _error());
    Net::SSLeay::set_fd($session, fileno $socket);
    my $done = $is_server ? Net::SSLeay::accept($session) : Net::SSLeay::connect($session);
    return (undef, _error()) unless $done == 1;
    return bless { session => $session, context => $context }, __PACKAGE__;
}

sub _error () {
    my $code = Net::SSLeay::ERR_get_error() or return 'connection closed';
    return Net::SSLeay::ERR_error_string($code) =~ s/^error:[0-9A-F]+://r;
}

# Puts what is there into $_[1]; returns its length, 0 at the end.
sub read {    ## no critic (the name of the operation)
    my ($self) = @_;
    my $data = Net::SSLeay::read($self->{session}, 65536) // '';
    $_[1] = $data;
    return length $data;
}

sub write ($self, $data) { return Net::SSLeay::write($self->{session}, $data) }

# Sends close-notify and waits for the other side's.
sub shutdown ($self) {
    Net::SSLeay::shutdown($self->{session});
    Net::SSLeay::shutdown($self->{session});
    return;
}

1;
