# The TLS machinery: pairings of libraries, the words of client and server, what a
# client makes of an OCSP response.
use v5.36;
use FindBin;
use Test::More;
use Minim::Test::File qw(slurp);
use Minim::Test::Matrix qw(expand suffixes_of $ANY_SUFFIX);
use Minim::Test::Mta;
use Minim::Test::Staple;
use Minim::Test::TlsWords qw(take_tls_word);

sub mta ($kind, $words) {
    my %caps = map { lc $_ => 1 } split ' ', $words;
    return bless { kind => $kind, caps => { support => \%caps } }, 'Minim::Test::Mta';
}

sub names (@runs) { return join ' ', map { $_->{name} . ($_->{unmet} ? '!' : '') } @runs }

my $tls   = { num => '2001', needs => [['matrix', 'tls'], ['peer', 'ocsp']] };
my $plain = { num => '0001', needs => [] };
my $none  = { num => '2002', needs => [['matrix', 'tls'], ['matrix', 'none']] };
my $both  = mta('minim', 'OpenSSL GnuTLS');
my @four  = map { "2001/$_" } qw(openssl-openssl openssl-gnutls gnutls-openssl gnutls-gnutls);

is(names(expand($both, [], $plain, $tls, $none)), "0001 @four 2002", 'four pairings');
is(names(expand($both, ['2001/gnutls-openssl', '1'], $plain, $tls)), '0001 2001/gnutls-openssl', 'one pairing selected');
is(names(expand(mta('minim', 'GnuTLS'), [], $tls)), join(' ', map { /gnutls-gnutls/ ? $_ : "$_!" } @four), 'one library: what needs the other is skipped');
is((expand(mta('minim', 'GnuTLS'), [], $tls))[0]{unmet}, 'minim has no support openssl', 'and says so');
is(names(expand(mta('minim', 'IPv6'), [], $tls)), '2001!', 'no TLS: skipped once');
is(names(expand(mta('exim4', 'GnuTLS'), [], $tls)), '2001', 'an MTA without the option: once');
is_deeply((expand(mta("exim4", "GnuTLS"), [], $tls))[0]{tls}, { server => "gnutls", client => "gnutls", scripted => "openssl" }, "with its own library");
is_deeply((expand($both, [], $tls))[1]{needs}, [['peer', 'ocsp']], 'other needs remain');
is(join(' ', Minim::Test::Matrix::numbers('2001/openssl-gnutls', '3-4', 'tls')), '2001 3-4 tls', 'selectors without pairing');

my ($run) = grep { $_->{name} =~ /gnutls-openssl/ } expand($both, [], $tls);
is(join(' ', suffixes_of($run, 'minim')), 'gnutls-openssl server-gnutls client-openssl minim', 'expectations for one pairing');
is(join(' ', suffixes_of((expand($both, [], $plain))[0], 'minim')), 'minim', 'none for a plain test');
like("log/2001.$_", $ANY_SUFFIX, "$_ is for some only") for suffixes_of($run, 'exim4');
unlike($_, $ANY_SUFFIX, "$_ is for everybody") for 'mail/2001.userx', 'log/2001';

my (%arg, @words);
@words = ('server1.test.ex', 'rest');
ok(take_tls_word('sni', \@words, \%arg) && take_tls_word('show', \@words, \%arg), 'words known');
ok(!take_tls_word('frobnicate', \@words, \%arg), 'a word unknown');
is_deeply([\%arg, \@words], [{ tls => { sni => 'server1.test.ex' }, show => 1 }, ['rest']], 'values taken');
ok(!eval { take_tls_word('sni', [], {}); 1 }, 'a value is missing');

my $pki   = "$FindBin::Bin/../../../aux-fixed/pki";
my $root  = "$pki/a/root.pem";
my @chain = map { slurp("$pki/a/$_.pem") } 'server1', 'inter';
my %word  = (
    'server1.good'   => 'good',
    'server1.issuer' => 'good',
    'server1.several' => 'good',
    'server1.nonext' => 'good',
    'server1.revoked' => 'revoked (superseded)',
    'server1.unknown' => 'unknown',
    'server1.expired' => 'good, out of date',
    'server1.notyet' => 'good, out of date',
    'server1.badsig' => 'good, not to be verified',
    'server1.noeku'  => 'good, not to be verified',
    'server1.oldsigner' => 'good, not to be verified',
    'server1.othersigner' => 'good, not to be verified',
    others           => 'for another certificate',
    trylater         => 'responder says trylater',
    garbage          => 'unreadable',
);
for my $file (sort keys %word) {
    my $got = Minim::Test::Staple::judge($root, \@chain, slurp("$pki/ocsp/$file.der"));
    is($got, $word{$file}, "response $file");
}
is(Minim::Test::Staple::judge($root, \@chain), 'none', 'no response');
is(Minim::Test::Staple::judge($root, \@chain, map { slurp("$pki/ocsp/$_.der") } 'server1.good', 'inter.revoked'),
    'good, revoked (cessationOfOperation)', 'a response for each of the chain');
done_testing();
