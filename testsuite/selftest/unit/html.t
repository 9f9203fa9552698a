# The page for a browser: columns of several runs, escaping, what a failure links to.
use v5.36;
use File::Temp qw(tempdir);
use Test::More;
use Minim::Test::File qw(slurp);
use Minim::Test::Html;

my $file = tempdir(CLEANUP => 1) . '/m.html';

sub outcome ($name, $state, $why = '', $diff = '') {
    return { num => $name, name => $name, group => '0000-Basic', title => 'a <b>', state => $state, why => $why,
        seconds => 1, diffs => $diff eq '' ? [] : [{ diff => $diff }] };
}

Minim::Test::Html::write_file($file, { mta => 'minim', outcomes => [outcome('0001', 'passed'), outcome('0002', 'failed', 'differs', "-x </script>\n+y\n")] });
my $page = slurp($file);
like($page, qr{<th>group</th><th>minim</th>}, 'one column');
like($page, qr{<td class="failed">1 passed, 1 failed</td>}, 'counts of a group');
like($page, qr{0001 a &lt;b&gt;</td><td class="passed">passed</td>}, 'a test that passed');
like($page, qr{<td class="failed"><a href="#minim-0002">failed</a>}, 'a failure is a link');
like($page, qr{<section id="minim-0002">.*<span class="del">-x &lt;/script&gt;</span>}s, 'to its diff');

Minim::Test::Html::write_file($file, { mta => 'exim4', outcomes => [outcome('0001', 'skipped', 'only for minim')] });
$page = slurp($file);
like($page, qr{<th>exim4</th><th>minim</th>}, 'a second run adds a column');
like($page, qr{0002 a &lt;b&gt;</td><td></td><td class="failed">}, 'what was not run there is empty');
like($page, qr{href="#exim4-0001">skipped</a></td><td class="passed">}, 'a skip says why');

Minim::Test::Html::write_file($file, { mta => 'minim', outcomes => [outcome('0002', 'passed')] });
$page = slurp($file);
unlike($page, qr{class="failed"}, 'a later run of the same MTA replaces its column');

done_testing;
