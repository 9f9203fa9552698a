package Minim::Test::Job;

# One test from the outside: makes its work folder, starts its namespaces, waits
# with a limit, compares. run() is called in a process of its own per test and
# returns the outcome:
#   {num, name, group, title, state => passed|failed|skipped, why, diffs, seconds, work}

use v5.36;
use File::Path qw(make_path remove_tree);
use JSON::PP;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time sleep);
use Minim::Test::Compare;
use Minim::Test::File qw(slurp spew);
use Minim::Test::Matrix qw(suffixes_of);

my $NAMESPACES = '--net --mount --uts --pid --ipc --fork --mount-proc --kill-child';

# $setting: {suite, mta, lib, opt, work_root}.
sub run ($setting, $test) {
    my $started = time;
    my $outcome = { %$test{qw(num name group title)}, work => "$setting->{work_root}/" . $test->{name} =~ tr{/}{.}r, diffs => [] };
    my $result  = eval { _in_namespaces($setting, $test, $outcome->{work}) } // { failed => $@ };
    @$outcome{qw(state why)} = $result->{skipped} ? ('skipped', $result->{skipped}) : $result->{failed} ? ('failed', $result->{failed}) : ('passed', '');
    _compare($setting, $test, $outcome, $result) unless $result->{skipped} || $result->{unready};
    $outcome->{seconds} = time - $started;
    remove_tree($outcome->{work}) if $outcome->{state} ne 'failed' && !$setting->{opt}{keep};
    return $outcome;
}

sub _compare ($setting, $test, $outcome, $result) {
    my @problems = eval {
        Minim::Test::Compare::compare({
            suite    => $setting->{suite},
            num      => $test->{num},
            work     => $outcome->{work},
            special  => [suffixes_of($test, $setting->{mta}->kind)],
            flags    => $result->{flags} // {},
            update   => $setting->{opt}{update} && !$result->{failed},
        });
    };
    if ($@) {
        @$outcome{qw(state why)} = ('failed', join "\n", grep { $_ } $outcome->{why}, $@);
        return;
    }
    push @problems, _reports($outcome->{work});
    return unless @problems;
    $outcome->{diffs} = \@problems;
    my @reasons = map { ($_->{file} =~ s{.*/([^/]+/[^/]+)$}{$1}r) . ": $_->{why}" } @problems;
    $outcome->{why} = join "\n", grep { $_ } $outcome->{why} =~ s/\n+\z//r, @reasons;
    my $accepted = $setting->{opt}{update} && !$result->{failed} && !grep { $_->{kind} eq 'report' } @problems;
    $outcome->{ $accepted ? 'updated' : 'state' } = $accepted ? 1 : 'failed';
    return;
}

# What valgrind and the sanitizers wrote.
sub _reports ($work) {
    return map { { file => $_, kind => 'report', why => 'a memory checker complains', diff => slurp($_) } }
        grep { -s } glob "$work/reports/*";
}

sub _in_namespaces ($setting, $test, $work) {
    remove_tree($work) if -e $work;
    make_path($work);
    spew("$work/test-$_", '') for qw(stdout stderr progress);
    my $spec = _spec($setting, $test, $work);
    spew("$work/spec.json", JSON::PP->new->canonical->pretty->encode($spec));
    my $pid = fork // die "cannot fork: $!\n";
    if (!$pid) {
        open STDIN,  '<',  '/dev/null'           or die;
        open STDOUT, '>>', "$work/runner-output" or die;
        open STDERR, '>&', \*STDOUT              or die;
        my @user = $> == 0 ? () : ('--user', '--keep-caps', '--map-user=10001', '--map-group=10001');
        my @argv = (
            qw(setpriv --pdeathsig KILL unshare), @user, split(' ', $NAMESPACES),
            $^X, "-I$setting->{lib}", '-MMinim::Test::Inside', '-e', 'exit Minim::Test::Inside::main(@ARGV)',
            "$work/spec.json", "$work/result.json",
        );
        exec { $argv[0] } @argv or POSIX::_exit(127);
    }
    my $limit   = _time_limit($setting->{opt});
    my $in_time = _wait($pid, $limit);
    my $at      = slurp("$work/test-progress") =~ s/\s+\z//r;
    return { failed => "timed out after $limit s at $at" } unless $in_time;
    my $text = -e "$work/result.json" ? slurp("$work/result.json") : '';
    return decode_json($text) if $text ne '';
    return { unready => 1, failed => "the test's namespaces did not come up:\n" . slurp("$work/runner-output") };
}

# How much longer everything may take under a memory checker.
sub _slowness ($opt) { return $opt->{valgrind} ? 6 : $opt->{asan} ? 2 : 1 }

sub _time_limit ($opt) { return $opt->{timeout} * _slowness($opt) }

sub _spec ($setting, $test, $work) {
    my ($suite, $mta) = @$setting{qw(suite mta)};
    return {
        num     => $test->{num},
        tls     => $test->{tls},
        timeout => _time_limit($setting->{opt}),
        slowness => _slowness($setting->{opt}),
        group   => $test->{group},
        script  => '/mnt/suite' . substr($test->{path}, length $suite->dir),
        suite   => $suite->dir,
        foreign => $suite->foreign ? 1 : 0,
        lib     => $setting->{lib},
        work    => $work,
        folders => { map { $_ => $suite->rel($_) } qw(fixed var confs dns peers) },
        caps    => $mta->{caps},
        mta     => $mta->for_spec($setting->{opt}),
    };
}

# Waits for a process; false, after killing it, when the time is up. Killing
# unshare takes all processes of the namespace with it.
sub _wait ($pid, $seconds) {
    my $done = eval {
        local $SIG{ALRM} = sub { die "timeout\n" };
        Time::HiRes::alarm($seconds);
        waitpid $pid, 0;
        Time::HiRes::alarm(0);
        1;
    };
    return 1 if $done;
    kill KILL => $pid;
    waitpid $pid, 0;
    return 0;
}

1;
