# Substitution, selection, capabilities, diff.
use v5.36;
use File::Temp qw(tempdir);
use Test::More;
use Minim::Test::Client;
use Minim::Test::Compare;
use Minim::Test::File qw(spew below);
use Minim::Test::Mta;
use Minim::Test::Options;
use Minim::Test::Subst qw(substitute);
use Minim::Test::Suite;

my $values = { DIR => '/d', PORT_D => 1225, PORT_D2 => 1226, CALLER => 'c' };
is(substitute('DIR/x PORT_D2 PORT_D DIRECTORY [CALLER] CALLERS', $values), '/d/x 1226 1225 DIRECTORY [c] CALLERS', 'substitution');

is(Minim::Test::Client::unescape('a\r\n\x41\\\\n\q'), "a\r\nA\\n\\q", 'escapes of a client script');
is(Minim::Test::Compare::visible("a\r\n\tb \nc"), "a[CR]\n\tb[SP]\nc[no line end]\n", 'control characters made visible');
like(Minim::Test::Compare::diff('f', "a\nb\n", "a\nc\n"), qr/^ a\n-b\n\+c$/m, 'diff');

my $caps = Minim::Test::Mta::_capabilities("Support for: IPv6 OpenSSL\nLookups (built-in): lsearch dbm dbmjz\nTransports: appendfile/maildir/mbx smtp\n");
my $mta = bless { caps => $caps, kind => 'minim' }, 'Minim::Test::Mta';
ok(!$mta->lacks(@$_), "has @$_") for ['support', 'IPv6'], ['lookup', 'dbm'], ['transport', 'smtp'], ['transport', 'appendfile'],
    ['transport', 'appendfile/mbx'];
is($mta->lacks('lookup', 'pgsql'), 'minim has no lookup pgsql', 'lacks a lookup');

my $dir = tempdir(CLEANUP => 1);
mkdir "$dir/$_" for 'scripts', 'scripts/0000-Basic', 'scripts/2000-Tls';
spew("$dir/scripts/$_", "# test $_\n") for '0000-Basic/0001', '0000-Basic/0010', '0000-Basic/0010~', '2000-Tls/2000';
spew("$dir/scripts/2000-Tls/2001", "# title\n# needs running root\n# more\n# only minim: it is new\nexim\n# needs x y\n");
spew("$dir/scripts/2000-Tls/REQUIRES", "support OpenSSL\n# no\nrunning IPv4\n");
my $suite = Minim::Test::Suite->new($dir);
sub chosen (@selectors) { return join ' ', map { $_->{num} } $suite->select(@selectors) }
is(chosen(), '0001 0010 2000 2001', 'all');
is(chosen('1'), '0001', 'a number');
is(chosen('0002-2000'), '0010 2000', 'a range');
is(chosen('tls', '0001'), '0001 2000 2001', 'a group');
is(chosen('2000-Tls'), '2000 2001', 'a group with its number');
ok(!eval { chosen('nothing'); 1 } && $@ =~ /selects no test/, 'nothing selected is an error');
is_deeply([map { $_->{needs} } $suite->select('2000')], [[['support', 'OpenSSL'], ['running', 'IPv4']]], 'needs');
is_deeply([map { @{ $_->{needs} }[2, 3] } $suite->select('2001')], [['running', 'root'], ['mta', 'minim', 'it is new']],
    'needs in the header of a script');
is(($suite->select('1'))[0]{title}, 'test 0000-Basic/0001', 'title');
ok($suite->foreign, 'a suite without testsuite/ has the foreign layout');
is($suite->folder('reject'), "$dir/rejectlog", 'and its folders');
is_deeply([below("$dir/scripts/0000-Basic")], ['0001', '0010', '0010~'], 'files below');

my $opt = Minim::Test::Options::parse('-j', 3, '--mta=exim4', '5', '--tap', '7-9');
is_deeply([@$opt{qw(jobs mta tap)}, @{ $opt->{selectors} }], [3, 'exim4', 1, 5, '7-9'], 'options');
ok(!eval { Minim::Test::Options::parse('--nonsense'); 1 } && $@ =~ /Unknown option: nonsense/, 'an unknown option');
like(Minim::Test::Options::help(), qr/--$_\b/, "help names --$_") for qw(jobs mta suite list update valgrind asan tap junit keep help);
done_testing();
