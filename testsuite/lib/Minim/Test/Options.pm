package Minim::Test::Options;

# The command line of runtest: one row per option, from which both the parser
# and --help are made. parse() returns a hash of settings plus the selectors,
# or dies with a message for the user.

use v5.36;
use Getopt::Long qw(GetOptionsFromArray);

# Getopt specification, key, default, argument shown in the help, help text.
my @ROWS = (
    ['j|jobs=i',   'jobs',     1,         'N',    'run N tests at a time'],
    ['mta=s',      'mta',      'minim',   'WHAT', 'minim, exim4, or the path of a binary'],
    ['suite=s',    'suite',    undef,     'DIR',  "another suite, laid out as this one or as Exim's"],
    ['list',       'list',     0,         '',     'name the tests selected and stop'],
    ['update',     'update',   0,         '',     'rewrite the expectations; the diff is shown'],
    ['valgrind',   'valgrind', 0,         '',     'run the MTA under valgrind; any report is a failure'],
    ['asan',       'asan',     0,         '',     'use build-asan/minim; any report is a failure'],
    ['tap',        'tap',      0,         '',     'report in the Test Anything Protocol'],
    ['junit=s',    'junit',    undef,     'FILE', 'write a JUnit report as well'],
    ['html=s',     'html',     undef,     'FILE', 'write a matrix of groups and MTAs; runs with the same FILE share it'],
    ['keep',       'keep',     0,         '',     'keep the work folders of passed tests too'],
    ['timeout=i',  'timeout',  60,        'S',    'seconds a test may take'],
    ['workdir=s',  'workdir',  undef,     'DIR',  'where work folders are made (default: under $TMPDIR)'],
    ['help|h',     'help',     0,         '',     'this text'],
);

sub parse (@argv) {
    my %opt = map { $_->[1] => $_->[2] } @ROWS;
    Getopt::Long::Configure(qw(gnu_getopt no_ignore_case));
    my $error = '';
    local $SIG{__WARN__} = sub { $error .= $_[0] };
    GetOptionsFromArray(\@argv, map { $_->[0] => \$opt{ $_->[1] } } @ROWS)
        or die "runtest: $error" . "try 'runtest --help'\n";
    die "runtest: -j needs a number above 0\n" if $opt{jobs} < 1;
    $opt{selectors} = \@argv;
    return \%opt;
}

sub help () {
    my $text = "usage: runtest [options] [SELECTOR...]\n"
        . "A selector is a test number, a range 2000-2099, or the name of a group.\n\n";
    for my $row (@ROWS) {
        my ($spec, undef, undef, $arg, $help) = @$row;
        my @names = map { length == 1 ? "-$_" : "--$_" } split /\|/, $spec =~ s/=.*//r;
        $text .= sprintf "  %-18s %s\n", join(', ', @names) . ($arg ? " $arg" : ''), $help;
    }
    return $text;
}

1;
