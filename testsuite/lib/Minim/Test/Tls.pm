package Minim::Test::Tls;

# TLS for the scripted client and server by OpenSSL, through Net::SSLeay, which is
# loaded only when a script asks for TLS. Minim::Test::TlsGnutls is the same for
# a client by GnuTLS; both give sessions with read, write, shutdown and facts.
#
# Options of a session: {cert, key} PEM files; sni; alpn => [names]; version =>
# '1.2' or '1.3'; keytype => rsa, ecdsa or ed25519 (what a client accepts);
# ca => file: a client asks for an OCSP response, which is judged by it, a server
# asks for a client certificate; staple => DER file a server sends.
# Certificates are not verified: what the MTA presents is shown by facts.

use v5.36;
use Minim::Test::File qw(slurp spew);

my %SIGALGS = (
    rsa     => 'rsa_pss_rsae_sha256:RSA+SHA256',
    ecdsa   => 'ECDSA+SHA256',
    ed25519 => 'ed25519',
);

# What a status callback of OpenSSL returns.
my ($STATUS_OK, $STATUS_NOACK) = (0, 3);

# Alerts (RFC 8446, section 6) by their numbers, for both libraries.
our %ALERT = (
    10 => 'unexpected message', 20 => 'bad record mac', 22 => 'record overflow', 40 => 'handshake failure', 42 => 'bad certificate',
    43 => 'unsupported certificate', 44 => 'certificate revoked', 45 => 'certificate expired', 46 => 'certificate unknown',
    47 => 'illegal parameter', 48 => 'unknown ca', 49 => 'access denied', 50 => 'decode error', 51 => 'decrypt error',
    70 => 'protocol version', 71 => 'insufficient security', 80 => 'internal error', 86 => 'inappropriate fallback',
    109 => 'missing extension', 110 => 'unsupported extension', 112 => 'unrecognized name', 113 => 'bad certificate status response',
    116 => 'certificate required', 120 => 'no application protocol',
);

# Does not load the library: what it reads then may still be chosen.
sub available () { return scalar grep { -e "$_/Net/SSLeay.pm" } @INC }

# Starts TLS as client or server on a connected socket. Returns the session, or
# (undef, reason).
sub client ($socket, $option) { return _start($socket, $option, 0) }
sub server ($socket, $option) { return _start($socket, $option, 1) }

sub _start ($socket, $option, $is_server) {
    return (undef, 'Net::SSLeay is not installed') unless available();
    _load($option);
    my $self = bless { %$option, is_server => $is_server, asked => 0 }, __PACKAGE__;
    my $session = eval { $self->_session } or return (undef, $@ =~ s/\n\z//r);
    Net::SSLeay::set_fd($session, fileno $socket);
    my $done = $is_server ? Net::SSLeay::accept($session) : Net::SSLeay::connect($session);
    return (undef, _error()) unless $done == 1;
    return $self;
}

# Some things can only be said in the library's configuration file.
sub _load ($option) {
    if ($option->{keytype}) {
        my $file = "/tmp/openssl-$$.cnf";
        my $algorithms = $SIGALGS{ $option->{keytype} } or die "no key type $option->{keytype}\n";
        spew($file, "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n[c]\nSignatureAlgorithms = $algorithms\n");
        $ENV{OPENSSL_CONF} = $file;
    }
    require Net::SSLeay;
    Net::SSLeay::initialize();
    return;
}

sub _session ($self) {
    my $method = $self->{is_server} ? Net::SSLeay::TLS_server_method() : Net::SSLeay::TLS_client_method();
    my $context = $self->{context} = Net::SSLeay::CTX_new_with_method($method) or die _error() . "\n";
    if ($self->{cert}) {
        Net::SSLeay::CTX_use_certificate_chain_file($context, $self->{cert})
            && Net::SSLeay::CTX_use_PrivateKey_file($context, $self->{key} || $self->{cert}, Net::SSLeay::FILETYPE_PEM())
            or die "cannot use certificate $self->{cert}: " . _error() . "\n";
    }
    if ($self->{version}) {
        my %number = ('1.2' => Net::SSLeay::TLS1_2_VERSION(), '1.3' => Net::SSLeay::TLS1_3_VERSION());
        my $number = $number{ $self->{version} } or die "no TLS version $self->{version}\n";
        Net::SSLeay::CTX_set_min_proto_version($context, $number);
        Net::SSLeay::CTX_set_max_proto_version($context, $number);
    }
    $self->{is_server} ? $self->_server_context : $self->_client_context;
    my $session = $self->{session} = Net::SSLeay::new($context) or die _error() . "\n";
    Net::SSLeay::set_tlsext_host_name($session, $self->{sni}) if $self->{sni} && !$self->{is_server};
    Net::SSLeay::set_tlsext_status_type($session, Net::SSLeay::TLSEXT_STATUSTYPE_ocsp()) if $self->{ca} && !$self->{is_server};
    return $session;
}

sub _client_context ($self) {
    my $context = $self->{context};
    Net::SSLeay::CTX_set_alpn_protos($context, $self->{alpn}) if $self->{alpn};
    if ($self->{ca}) {
        Net::SSLeay::CTX_set_tlsext_status_cb($context, sub ($session, $response, $data) {
            $self->{response} = $response ? Net::SSLeay::i2d_OCSP_RESPONSE($response) : '';
            return 1;
        });
    }
    return;
}

# The callbacks note what the client asked for.
sub _server_context ($self) {
    my $context = $self->{context};
    my $staple = $self->{staple} ? slurp($self->{staple}) : undef;
    Net::SSLeay::CTX_set_tlsext_status_cb($context, sub ($session, $response, $data) {
        $self->{asked} = 1;
        return $STATUS_NOACK unless defined $staple;
        Net::SSLeay::set_tlsext_status_ocsp_resp($session, $staple);
        return $STATUS_OK;
    });
    Net::SSLeay::CTX_set_tlsext_servername_callback($context, sub ($session, $data) {
        $self->{got_sni} = Net::SSLeay::get_servername($session);
        return $STATUS_OK;
    });
    Net::SSLeay::CTX_set_alpn_select_cb($context, $self->{alpn}) if $self->{alpn};
    if ($self->{ca}) {
        Net::SSLeay::CTX_set_client_CA_list($context, Net::SSLeay::load_client_CA_file($self->{ca}));
        Net::SSLeay::CTX_set_verify($context, Net::SSLeay::VERIFY_PEER(), sub { 1 });
    }
    return;
}

# A received alert by its name; OpenSSL adds 1000 to its number.
sub _error () {
    my $code = Net::SSLeay::ERR_get_error() or return 'connection closed';
    my $reason = $code & 0x7fffff;
    return 'received alert: ' . ($ALERT{ $reason - 1000 } // $reason - 1000) if $reason >= 1000 && $reason < 1256;
    return Net::SSLeay::ERR_error_string($code) =~ s/^error:.*://r;
}

# What was agreed, a line each.
sub facts ($self) {
    my $session = $self->{session};
    my @facts = (Net::SSLeay::get_version($session) =~ s/^TLSv/TLS/r);
    my $alpn = Net::SSLeay::P_alpn_selected($session);
    push @facts, "ALPN $alpn" if defined $alpn && $alpn ne '';
    if ($self->{is_server}) {
        push @facts, 'SNI ' . ($self->{got_sni} // 'none'), 'status request ' . ($self->{asked} ? 'yes' : 'no');
    }
    my @chain = $self->chain;
    push @facts, 'certificate ' . (@chain ? subject($chain[0]) : 'none') if @chain || $self->{is_server} && $self->{ca};
    return @facts;
}

# The peer's certificates in PEM, its own first.
sub chain ($self) {
    my $own = Net::SSLeay::get_peer_certificate($self->{session}) or return;
    my @pem = (Net::SSLeay::PEM_get_string_X509($own));
    Net::SSLeay::X509_free($own);
    my @sent = map { Net::SSLeay::PEM_get_string_X509($_) } Net::SSLeay::get_peer_cert_chain($self->{session});
    return (@pem, grep { $_ ne $pem[0] } @sent);
}

# The subject and kind of key of a certificate in PEM.
sub subject ($pem) {
    require Net::SSLeay;
    my $bio = Net::SSLeay::BIO_new(Net::SSLeay::BIO_s_mem());
    Net::SSLeay::BIO_write($bio, $pem);
    my $certificate = Net::SSLeay::PEM_read_bio_X509($bio);
    my $name = Net::SSLeay::X509_NAME_print_ex(Net::SSLeay::X509_get_subject_name($certificate));
    my $key  = Net::SSLeay::X509_get_pubkey($certificate);
    my %kind = (6 => 'RSA', 408 => 'ECDSA', 1087 => 'Ed25519');
    my $kind = Net::SSLeay::EVP_PKEY_id($key);
    Net::SSLeay::EVP_PKEY_free($key);
    Net::SSLeay::X509_free($certificate);
    Net::SSLeay::BIO_free($bio);
    return $name . ' (' . ($kind{$kind} // $kind) . ')';
}

# The OCSP responses received, in DER.
sub responses ($self) { return grep { ($_ // '') ne '' } $self->{response} }

# Puts what is there into $_[1]; returns its length, 0 at the end.
sub read {    ## no critic (the name of the operation)
    my ($self) = @_;
    my $data = Net::SSLeay::read($self->{session}, 65536) // '';
    $_[1] = $data;
    return length $data;
}

sub write ($self, $data) { return Net::SSLeay::write($self->{session}, $data) }

# Sends close-notify, for which nothing need be left to read.
sub bye ($self) { return Net::SSLeay::shutdown($self->{session}) }

# Sends close-notify and waits for the other side's.
sub shutdown ($self) {
    Net::SSLeay::shutdown($self->{session});
    Net::SSLeay::shutdown($self->{session});
    return;
}

1;
