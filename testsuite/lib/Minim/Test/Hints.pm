package Minim::Test::Hints;

# The records of a hints database, as exim_dumpdb and minim --hints print them, in
# the order of their keys. Times are left to Canon; how much later than another a
# time is may not be, so a retry record says how long after the last attempt the
# next may be made.

use v5.36;
use POSIX qw(mktime);

my %MONTH;
@MONTH{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = 0 .. 11;
my $TIME = qr/\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d/;

# A retry record has two lines, others one.
sub ordered ($name, $text) {
    return join '', sort $text =~ /^(.*\n)/mg if $name ne 'retry';
    return join '', sort map { _retry($_) } $text =~ /^((?!$TIME).*\n$TIME.*\n)/mg;
}

sub _retry ($record) {
    my ($head, $last, $next, $expired) = $record =~ /^(.*)\n$TIME  ($TIME)  ($TIME)\s*(\*?)/ or return $record;
    my $wait = _seconds($next) - _seconds($last);
    return "$head\n    next attempt after $wait s" . ($expired ? ' *' : '') . "\n";
}

sub _seconds ($text) {
    my ($day, $month, $year, $h, $m, $s) = $text =~ /^(\d+)-(\w+)-(\d+) (\d+):(\d+):(\d+)/;
    return mktime($s, $m, $h, $day, $MONTH{$month}, $year - 1900, 0, 0, -1);
}

1;
