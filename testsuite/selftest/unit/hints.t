# The records of a hints database: their order, and retry times as intervals.
use v5.36;
use Test::More;
use Minim::Test::Hints;

my $found = <<'TEXT';
  T:b:127.0.0.1:1224 111 77 Connection refused
21-Nov-2026 06:15:07  21-Nov-2026 06:15:07  21-Nov-2026 06:25:07 *
  R:a@test.ex -1 0 not yet
30-Nov-2026 23:59:07  30-Nov-2026 23:59:59  01-Dec-2026 00:10:00 
TEXT
my $wanted = <<'TEXT';
  R:a@test.ex -1 0 not yet
    next attempt after 601 s
  T:b:127.0.0.1:1224 111 77 Connection refused
    next attempt after 600 s *
TEXT
is(Minim::Test::Hints::ordered('retry', $found), $wanted, 'retry');
is(Minim::Test::Hints::ordered('retry', ''), '', 'nothing');
is(Minim::Test::Hints::ordered('misc', "01-Jan-1970 00:00:01 b\n01-Jan-1970 00:00:00 a\n"),
    "01-Jan-1970 00:00:00 a\n01-Jan-1970 00:00:01 b\n", 'others are lines');
done_testing;
