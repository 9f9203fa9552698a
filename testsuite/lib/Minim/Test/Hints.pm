package Minim::Test::Hints;

# A hints database as text in one form, whichever MTA keeps it: that in which
# exim_dumpdb prints it, the records in the order of their keys. Times are left
# to Canon; whether a time is due later than another is not, so a retry record
# says how long after the last attempt the next may be made.

use v5.36;
use POSIX qw(mktime);

my %MONTH;
@MONTH{qw(Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec)} = 0 .. 11;
my $TIME = qr/\d\d-[A-Z][a-z]{2}-\d{4} \d\d:\d\d:\d\d/;

# What exim_dumpdb or minim --hints printed, in our form. A retry record has two lines, others one.
sub from_exim ($name, $text) {
    my @records = $name eq 'retry' ? $text =~ /^((?!$TIME).*\n$TIME.*\n)/mg : $text =~ /^(.*\n)/mg;
    return join '', sort map { $name eq 'retry' ? _retry_from_exim($_) : $_ } @records;
}

sub _retry_from_exim ($record) {
    my ($head, $first, $last, $next, $expired) = $record =~ /^(.*)\n($TIME)  ($TIME)  ($TIME) ?(\*?)/ or return $record;
    return _retry($head, map({ _seconds($_) } $first, $last, $next), $expired);
}

sub _seconds ($text) {
    my ($day, $month, $year, $h, $m, $s) = $text =~ /^(\d+)-(\w+)-(\d+) (\d+):(\d+):(\d+)/;
    return mktime($s, $m, $h, $day, $MONTH{$month}, $year - 1900, 0, 0, -1);
}

sub _retry ($head, $first, $last, $next, $expired) {
    my $wait = $next - $last;
    return "$head\n    next attempt after $wait s" . ($expired ? ' *' : '') . "\n";
}

1;
