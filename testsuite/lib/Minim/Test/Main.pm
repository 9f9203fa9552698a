package Minim::Test::Main;

# The course of a run: options, selection, needs, N tests at a time, report.
# Each test runs in a child, which sends its outcome back through a pipe.

use v5.36;
use Cwd qw(abs_path);
use File::Path qw(make_path);
use File::Temp qw(tempdir);
use IO::Select;
use JSON::PP;
use Minim::Test::File qw(slurp);
use Minim::Test::Job;
use Minim::Test::Matrix;
use Minim::Test::Mta;
use Minim::Test::Options;
use Minim::Test::Process qw(await);
use Minim::Test::Report;
use Minim::Test::Suite;

# Returns the exit status.
sub main ($root, @argv) {
    my $opt = Minim::Test::Options::parse(@argv);
    if ($opt->{help}) { print Minim::Test::Options::help(); return 0 }
    my $suite = Minim::Test::Suite->new(abs_path($opt->{suite} // $root) // die "runtest: no folder $opt->{suite}\n");
    my @tests = $suite->select(Minim::Test::Matrix::numbers(@{ $opt->{selectors} }));
    if ($opt->{list}) { print map { "$_->{num} $_->{group}: $_->{title}\n" } @tests; return 0 }
    my $setting = {
        opt   => $opt,
        suite => $suite,
        lib   => "$root/testsuite/lib",
        mta   => Minim::Test::Mta->new($opt->{mta}, $root, $opt->{asan}),
        work_root => _work_root($opt),
    };
    @tests = Minim::Test::Matrix::expand($setting->{mta}, $opt->{selectors}, @tests);
    my $nojit = $opt->{valgrind} ? $setting->{mta}->without_jit($setting->{lib}, $setting->{work_root}) : undef;
    $| = 1;
    my $report = Minim::Test::Report->new($opt, scalar @tests, _repeat($opt));
    _run_all($setting, $report, @tests);
    unlink $nojit if $nojit;
    rmdir $setting->{work_root};
    return $report->finish;
}

sub _work_root ($opt) {
    my $dir = $opt->{workdir} // tempdir('runtest.XXXXXX', TMPDIR => 1);
    make_path($dir);
    chmod 0755, $dir;
    return abs_path($dir);
}

# The command, less the test's number, that repeats one test.
sub _repeat ($opt) {
    my @words = ('./runtest');
    push @words, "--mta $opt->{mta}" if $opt->{mta} ne 'minim';
    push @words, "--suite $opt->{suite}" if $opt->{suite};
    push @words, map { "--$_" } grep { $opt->{$_} } qw(valgrind asan);
    return join ' ', @words;
}

sub _run_all ($setting, $report, @tests) {
    my %running;    # read handle => [pid, test, text so far]
    my $select = IO::Select->new;
    local $SIG{INT} = local $SIG{TERM} = sub ($signal) {
        kill KILL => map { $_->[0] } values %running;
        waitpid $_->[0], 0 for values %running;
        await(10, sub { !_at_work($setting->{work_root}) });    # their namespaces end with them, a moment later
        print "\nrunning tests were stopped\n";
        $report->finish;
        exit 130;
    };
    while (@tests || %running) {
        while (@tests && keys %running < $setting->{opt}{jobs}) {
            my $test = shift @tests;
            if (my $why = _unmet($setting, $test)) { $report->add(_report_skip($setting, _skipped($test, $why))); next }
            my ($handle, $pid) = _start($setting, $test);
            $running{$handle} = [$pid, $test, ''];
            $select->add($handle);
        }
        for my $handle ($select->can_read) {
            my $entry = $running{$handle};
            next if sysread $handle, $entry->[2], 65536, length $entry->[2];
            $select->remove($handle);
            delete $running{$handle};
            waitpid $entry->[0], 0;
            my $outcome = $entry->[2] ne '' ? decode_json($entry->[2]) : _broken($entry->[1]);
            $report->add(_report_skip($setting, $outcome));
        }
    }
    return;
}

# Whether there are still namespaces of tests with work folders here.
sub _at_work ($folder) {
    for my $file (grep { $_ ne "/proc/$$/cmdline" } glob '/proc/[0-9]*/cmdline') {
        open my $in, '<', $file or next;
        return 1 if (do { local $/ = undef; <$in> // '' }) =~ m{\Q$folder\E/[^/]+/spec\.json};
    }
    return 0;
}

sub _start ($setting, $test) {
    pipe my $reader, my $writer or die "pipe: $!\n";
    my $pid = fork // die "cannot fork: $!\n";
    return ($reader, $pid) if $pid;
    close $reader;
    $SIG{INT} = 'IGNORE';
    $SIG{TERM} = 'DEFAULT';
    my $outcome = Minim::Test::Job::run($setting, $test);
    print {$writer} JSON::PP->new->ascii->encode($outcome);
    close $writer;
    POSIX::_exit(0);
}

# What a test needs that is not there, or undef.
sub _unmet ($setting, $test) {
    return $test->{unmet} if $test->{unmet};
    for my $need (@{ $test->{needs} }) {
        my ($kind, $what, $reason) = @$need;
        if ($kind eq 'mta') {
            return "only for $what: $reason" if $setting->{mta}->kind ne $what;
            next;
        }
        if ($kind eq 'running') {
            return 'needs root' if $what eq 'root' && $> != 0;
            next;
        }
        if ($kind eq 'peer') {
            return "no peer $what" unless -e $setting->{suite}->folder('peers') . "/$what";
            next;
        }
        my $why = $setting->{mta}->lacks($kind, $what);
        return $why if $why;
    }
    return 'exim4 needs root' if $> != 0 && $setting->{mta}->profile->{setuid};
    return;
}

# Where CI is true, a skip is a failure unless testsuite/ci-skips names the reason.
sub _report_skip ($setting, $outcome) {
    return $outcome unless ($ENV{CI} // '') eq 'true' && $outcome->{state} eq 'skipped';
    my $list = $setting->{suite}->dir . '/testsuite/ci-skips';
    my @allowed = -e $list ? grep { /\S/ && !/^#/ } split /\n/, slurp($list) : ();
    return $outcome if grep { index($outcome->{why}, $_) >= 0 } @allowed;
    return { %$outcome, state => 'failed', why => "skipped, and testsuite/ci-skips does not allow it: $outcome->{why}" };
}

sub _skipped ($test, $why) {
    return { %$test{qw(num name group title)}, state => 'skipped', why => $why, diffs => [], seconds => 0, work => '' };
}

sub _broken ($test) {
    return { %{ _skipped($test, "the runner's process for this test died") }, state => 'failed' };
}

1;
