# The script parser.
use v5.36;
use Test::More;
use Minim::Test::Commands;
use Minim::Test::Script;

sub parse ($text) { return Minim::Test::Script::parse($text, \&Minim::Test::Commands::takes_input) }

my @got = parse(<<'SCRIPT');
# name of the test
# a comment

### heading
2
exim -bt a b
input 1

# not a comment
****
~1 A=b C=
sudo cat x \
   y
A=1 B=2 5 sudo -u userx exim_abc -odi x
****
0
mta -bV
****
sleep 1
SCRIPT

is(join(' ', map { $_->{name} } @got), '### exim cat exim exim sleep', 'commands');
is(join(' ', map { $_->{line} } @got), '4 6 12 14 17 19', 'line numbers');
is($got[1]{expect}, '2', 'exit code');
is($got[1]{args}, '-bt a b', 'arguments');
is_deeply($got[1]{input}, ['input 1', '', '# not a comment'], 'input');
is($got[2]{expect}, '~1', 'exit code that must not come');
is_deeply($got[2]{env}, ['A=b', 'C='], 'variables beside the exit code');
is($got[2]{args}, 'x y', 'continuation');
is($got[2]{sudo}, 'root', 'sudo');
is_deeply($got[3]{env}, ['A=1', 'B=2'], 'variables before the command');
is($got[3]{hold}, 5, 'seconds to hold the input open');
is($got[3]{sudo}, 'userx', 'sudo -u');
is($got[3]{expect}, '0', 'an exit code holds for one command');
ok(!defined $got[5]{input}, 'a command without input has none');

for my $bad (["nonsense\n", qr/line 1: unknown command/], ["#\nexim\nx\n", qr/line 2: .* does not end with \*\*\*\*/]) {
    ok(!eval { parse($bad->[0]); 1 } && $@ =~ $bad->[1], "refused: $@");
}

my @words = (
    ['a b  c', 'a', 'b', 'c'],
    [q{-be '${if eq{a}{b}}' x}, '-be', '${if eq{a}{b}}', 'x'],
    [q{"a \"b\" c" d\ e}, 'a "b" c', 'd e'],
    [q{x'y z'"w"}, 'xy zw'],
    [q{'' ""}, '', ''],
);
is_deeply([Minim::Test::Script::words($_->[0])], [@$_[1 .. $#$_]], "words of: $_->[0]") for @words;

ok(defined Minim::Test::Commands::takes_input($_), "command $_") for qw(
    exim client server write catwrite perl background killdaemon sleep millisleep dump dbmbuild munge sortlog
    no_message_check no_msglog_check no_stdout_check no_stderr_check no_munge rmfiltertest need_ipv4 need_ipv6
    need_largefiles need_move_frozen_messages exigrep exiqgrep exinext exim_lock gnutls cat chmod chown cp du ln ls
    mkdir mkfifo rm rmdir touch echo peer clock swaks client-ssl client-gnutls await_log await_file await_queue_empty
);
done_testing();
