#!/usr/bin/perl
# ocsp_fetch.pl: fetches the OCSP proof of a certificate for tls_ocsp_file, from cron or by hand.
#
# The certificate's file holds the certificate and its issuer. The proof is asked for by POST
# (RFC 6960 A.1) from the responder named in the certificate, or with -u, and written only if it is
# good: for this very certificate, signed by its issuer or somebody the issuer has authorized, not
# revoked, in date, with a next update. The file is replaced in one step; whatever goes wrong, the
# old proof stays. Nothing is asked while less than half of the old proof's life is over; the
# certificate of its signer may end that life early.
#
# Needs openssl (1.1.1 or later) and Perl's own modules. See ocsp_fetch(8).
use v5.20;
use warnings;
use File::Temp qw(tempdir);
use Getopt::Long qw(:config bundling no_ignore_case);
use HTTP::Tiny;
use Time::Local qw(timegm);

my $USAGE = "usage: ocsp_fetch.pl [-f] [-n] [-p] [-q] [-u URL] CERTIFICATES PROOF\n";
my $SKEW  = 300;     # seconds a clock may be off
my $MOST  = 65536;   # octets of an answer
my $TMP;             # a folder of our own

# Ends the program; tempdir cleans up.
sub fail {
    my ($why) = @_;
    print {*STDERR} "ocsp_fetch.pl: $why\n";
    exit 1;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or return;
    local $/ = undef;
    return scalar <$in>;
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>:raw', $file or fail("$file: $!");
    print {$out} $text;
    close $out or fail("$file: $!");
    return $file;
}

# What openssl prints on both channels, and whether it was content.
sub openssl {
    my (@words) = @_;
    my $pid = open(my $from, '-|') // fail("fork: $!");
    if (!$pid) {
        open STDERR, '>&', \*STDOUT or exit 127;
        { no warnings 'exec'; exec 'openssl', @words }
        exit 127;
    }
    my $text = do { local $/ = undef; <$from> } // '';
    close $from;
    fail('openssl is not installed') if $? >> 8 == 127;
    return ($text, $? == 0);
}

# "Nov 21 06:00:00 2026 GMT" as seconds; undef for no time.
sub seconds {
    my ($text) = @_;
    my %month;
    @month{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = 0 .. 11;
    my ($m, $d, $H, $M, $S, $y) = ($text // '') =~ /^(\w{3})\s+(\d+) (\d+):(\d+):(\d+) (\d+)/ or return;
    return timegm($S, $M, $H, $d, $month{$m}, $y);
}

# The certificate and its issuer, in files of their own.
sub split_chain {
    my ($file) = @_;
    my $text   = slurp($file) // fail("$file: $!");
    my @certs  = $text =~ /(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?)/gs;
    @certs or fail("$file: no certificate in it");
    my $leaf = spew("$TMP/leaf.pem", $certs[0]);
    my ($wanted) = openssl(qw(x509 -noout -issuer_hash -in), $leaf);
    for my $cert (@certs) {
        my $issuer = spew("$TMP/issuer.pem", $cert);
        my ($hash) = openssl(qw(x509 -noout -subject_hash -in), $issuer);
        return ($leaf, $issuer) if $hash eq $wanted;
    }
    return fail("$file: the issuer of the certificate is not in it");
}

# When the certificates in a response that may sign responses end; undef if there are none.
sub signer_end {
    my ($file) = @_;
    my ($text) = openssl(qw(ocsp -noverify -resp_text -respin), $file);
    my $end;
    for my $cert ($text =~ /(-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?)/gs) {
        my ($about) = openssl(qw(x509 -noout -text -enddate -in), spew("$TMP/signer.pem", $cert));
        next unless $about =~ /OCSP Signing/ && $about =~ /^notAfter=(.*)/m;
        my $t = seconds($1);
        $end = $t if !defined $end || $t < $end;
    }
    return $end;
}

# What a response in a file says: { this, next, end } if it is good, else { why }.
sub check {
    my ($file, $leaf, $issuer) = @_;
    my $good = {};
    for my $digest (qw(-sha1 -sha256)) {
        my ($text, $ok) = openssl(qw(ocsp -no_nonce -partial_chain -CAfile), $issuer, '-issuer', $issuer,
            $digest, '-cert', $leaf, '-respin', $file, '-validity_period', $SKEW);
        return { why => 'not an OCSP response' } if $text =~ /^Error (?:reading|parsing) /m;
        return { why => "the responder has no answer: $1" } if $text =~ /Responder Error: (.*)/;
        my ($verdict) = $text =~ /^\Q$leaf\E: (.*)/m;
        if ($text !~ /Response verify OK/) {
            return { why => 'signature not to be verified, or signer not authorized' };
        }
        next if !defined $verdict || $verdict =~ /^ERROR: No Status found/;
        my ($this) = $text =~ /This Update: (.*)/;
        my ($next) = $text =~ /Next Update: (.*)/;
        return { why => 'revoked' . ($text =~ /Reason: (.*)/ ? ", $1" : '') } if $verdict =~ /^revoked/;
        return { why => 'the responder does not know the certificate' } if $verdict =~ /^unknown/;
        return { why => 'out of date, or not yet valid' } if $text =~ /Status times invalid/;
        return { why => 'without next update' } unless defined $next;
        return { this => seconds($this), next => seconds($next), end => signer_end($file) };
    }
    return { why => 'for another certificate' };
}

# When half of a proof's life is over.
sub half_life {
    my ($proof) = @_;
    my $end = defined $proof->{end} && $proof->{end} < $proof->{next} ? $proof->{end} : $proof->{next};
    return $proof->{this} + ($end - $proof->{this}) / 2;
}

# The responses of a proof's file, as files in DER.
sub old_proofs {
    my ($file) = @_;
    my $text   = slurp($file) // return;
    my @blocks = $text =~ /-----BEGIN OCSP RESPONSE-----\s*(.*?)-----END OCSP RESPONSE-----/gs;
    my $n = 0;
    require MIME::Base64;
    return map { spew("$TMP/old" . $n++, MIME::Base64::decode_base64($_)) } @blocks if @blocks;
    return spew("$TMP/old", $text);
}

sub pem {
    my ($der) = @_;
    require MIME::Base64;
    my $lines = join "\n", MIME::Base64::encode_base64($der, '') =~ /(.{1,64})/g;
    return "-----BEGIN OCSP RESPONSE-----\n$lines\n-----END OCSP RESPONSE-----\n";
}

sub fetch {
    my ($url, $leaf, $issuer) = @_;
    my ($text, $ok) = openssl(qw(ocsp -no_nonce -issuer), $issuer, '-cert', $leaf, '-reqout', "$TMP/request");
    $ok or fail("no request can be made: $text");
    my $answer = HTTP::Tiny->new(timeout => 30, max_size => $MOST, max_redirect => 3)->post(
        $url, { headers => { 'Content-Type' => 'application/ocsp-request' }, content => slurp("$TMP/request") });
    $answer->{success} or fail("$url: $answer->{status} $answer->{reason}");
    return spew("$TMP/answer", $answer->{content});
}

sub responder {
    my ($leaf) = @_;
    my ($text) = openssl(qw(x509 -noout -ocsp_uri -in), $leaf);
    my ($url)  = $text =~ m{^(http://\S+)}mi or fail('the certificate names no responder; use -u');
    return $url;
}

# Other responses of a PEM file stay behind the new one.
sub replace {
    my ($proof, $answer, $as_pem, @others) = @_;
    my $der = slurp($answer);
    my $content = $as_pem ? join '', map { pem($_) } $der, map { slurp($_) } @others : $der;
    my $new = "$proof.new";
    spew($new, $content);
    rename $new, $proof or fail("$proof: $!");
    return;
}

sub main {
    my ($force, $dry, $as_pem, $quiet, $url, $help);
    GetOptions('f' => \$force, 'n' => \$dry, 'p' => \$as_pem, 'q' => \$quiet, 'u=s' => \$url, 'h|help' => \$help)
        or do { print {*STDERR} $USAGE; exit 2 };
    if ($help) { print $USAGE; exit 0 }
    if (@ARGV != 2) { print {*STDERR} $USAGE; exit 2 }
    my ($chain, $proof) = @ARGV;
    $TMP = tempdir(CLEANUP => 1);
    my ($leaf, $issuer) = split_chain($chain);

    my (@others, $current);
    for my $old (old_proofs($proof)) {
        my $said = check($old, $leaf, $issuer);
        if (!$said->{why}) { $current = $said }
        elsif ($said->{why} eq 'for another certificate' && $as_pem) { push @others, $old }
    }
    if ($current && !$force && time < half_life($current)) {
        print "$proof is fresh until ", scalar gmtime half_life($current), " GMT\n" unless $quiet;
        return 0;
    }
    $url //= responder($leaf);
    my $answer = fetch($url, $leaf, $issuer);
    my $said   = check($answer, $leaf, $issuer);
    $said->{why} and fail("$url: $said->{why}");
    replace($proof, $answer, $as_pem, @others) unless $dry;
    unless ($quiet) {
        print "$proof is new, next update ", scalar gmtime $said->{next}, " GMT\n";
        print "but the certificate of its signer ends ", scalar gmtime $said->{end}, " GMT\n"
            if defined $said->{end} && $said->{end} < $said->{next};
    }
    return 0;
}

exit main() unless caller;
