package Bench::Report;

# Tables of medians, with the ratios that count taken within each round, because
# the machine may be slower in one round than in another.

use strict;
use warnings;
use Exporter qw(import);

our @EXPORT = qw(median table ratio say_line);

sub say_line { print "@_\n"; return }

sub median {
    my @v = sort { $a <=> $b } grep { defined } @_;
    return undef unless @v;    # not an empty list
    return @v % 2 ? $v[$#v / 2] : ($v[$#v / 2] + $v[@v / 2]) / 2;
}

# The median over the rounds of A's figure by B's, undef without both.
sub ratio {
    my ($rows, $case, $key, $a, $b) = @_;
    my ($x, $y) = ($rows->{$case}{$a} // [], $rows->{$case}{$b} // []);
    return median(map { $x->[$_]{$key} && $y->[$_]{$key} ? $x->[$_]{$key} / $y->[$_]{$key} : undef } 0 .. $#$x);
}

sub cell {
    my ($value, $digits) = @_;
    return '-' unless defined $value;
    return sprintf "%.${digits}f", $value;
}

# ROWS: {case}{mta} = [row of a round...]. COLUMNS: [head, key, digits]; key
# "KEY/MTA" is the ratio to that MTA's.
sub table {
    my ($title, $rows, $cases, $mtas, @columns) = @_;
    say_line("\n$title");
    my @lines = (['', '', map { $_->[0] } @columns]);
    for my $case (@$cases) {
        for my $mta (@$mtas) {
            my $r = $rows->{$case}{$mta} or next;
            push @lines, [$case, $mta, map {
                my ($head, $key, $digits) = @$_;
                my $ratio = $key =~ m{^(\w+)/(\w+)$} ? ratio($rows, $case, $1, $mta, $2) : undef;
                $key =~ m{/} ? defined $ratio ? "x" . cell($ratio, $digits) : '-'
                  : cell(median(map { $_->{$key} } @$r), $digits);
            } @columns];
        }
    }
    my @width;
    for my $line (@lines) {
        for my $i (0 .. $#$line) { $width[$i] = length $line->[$i] if length $line->[$i] > ($width[$i] // 0) }
    }
    for my $line (@lines) {
        say_line(join('  ', map { sprintf '%' . ($_ < 2 ? '-' : '') . "$width[$_]s", $line->[$_] } 0 .. $#$line) =~ s/\s+$//r);
    }
    return;
}

1;
