package Minim::Test::Staple;

# Judges the OCSP responses that a scripted client was given, with `openssl ocsp`:
# neither library under test has a say in it.

use v5.36;
use File::Temp qw(tempdir);
use Minim::Test::File qw(slurp spew);

# A word for each of the responses in DER, which are for the certificates of the
# chain (PEM, the server's own first) in this order; $ca is a file of trusted
# roots. "none" if there is no response.
sub judge ($ca, $chain, @responses) {
    return 'none' unless @responses;
    my $dir = tempdir('staple.XXXXXX', TMPDIR => 1, CLEANUP => 1);
    spew("$dir/$_", $chain->[$_]) for 0 .. $#$chain;
    spew("$dir/all", join '', @$chain);
    my @words;
    for my $at (0 .. $#responses) {
        my $issuer = $at < $#$chain ? "$dir/" . ($at + 1) : $ca;
        spew("$dir/response", $responses[$at]);
        push @words, _one($ca, "$dir/response", $issuer, "$dir/$at", "$dir/all");
    }
    return join ', ', @words;
}

sub _one ($ca, $response, $issuer, $certificate, $others) {
    my @argv = (qw(openssl ocsp -no_nonce -respin), $response, '-CAfile', $ca, '-issuer', $issuer, '-cert', $certificate,
        '-verify_other', $others);
    open my $pipe, '-|', '/bin/sh', '-c', 'exec "$@" 2>&1', 'sh', @argv or die "cannot run openssl: $!\n";
    my $text = join '', <$pipe>;
    close $pipe;
    return 'unreadable' if $text =~ /Error reading OCSP response/;
    return "responder says $1" if $text =~ /Responder Error: (\w+)/;
    my $word = $text =~ /^\Q$certificate\E: (good|revoked|unknown)/m ? $1 : $text =~ /^(?:good|revoked|unknown)$/m ? $& : 'for another certificate';
    $word = $1 if $text =~ /Status times invalid.*^(good|revoked|unknown)/ms;
    $word .= " ($1)" if $text =~ /Reason: (\w+)/;
    $word .= ', out of date' if $text =~ /Status times invalid/;
    $word .= ', not to be verified' unless $text =~ /Response verify OK/;
    return $word;
}

1;
