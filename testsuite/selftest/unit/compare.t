# How outputs are compared: lines of a daemon, message by message.
use v5.36;
use Test::More;
use Minim::Test::Compare;

my $head = "\n******** SERVER ********\n";
my ($a, $b) = ('10HmaX-000000005vi-0000', '10HmaY-000000005vi-0000');
sub lines (@lines) { return join '', map { "1999-03-02 09:44:33 $_\n" } @lines }
sub gathered ($text) { return Minim::Test::Compare::_gathered($text) }

my $one = $head . lines("started", "$a <= x", "$a => y", "$a Completed", "$b <= x", "$b => y");
my $two = $head . lines("started", "$a <= x", "$b <= x", "$a => y", "$b => y", "$a Completed");
is(gathered($two), gathered($one), 'messages that a daemon works on at the same time');
isnt(gathered($head . lines("$a => y", "$a <= x")), gathered($head . lines("$a <= x", "$a => y")), 'the order within a message counts');
isnt(gathered($head . lines("$a <= x", "$b <= x")), gathered($head . lines("$b <= x", "$a <= x")), 'so does that in which messages begin');
isnt(gathered($head . lines('one', 'two')), gathered($head . lines('two', 'one')), 'and that of lines about no message');
my $client = lines("$a <= x", "$b <= x", "$a => y");
is(gathered($client), $client, 'without a daemon nothing is moved');
done_testing();
