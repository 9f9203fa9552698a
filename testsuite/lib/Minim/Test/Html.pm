package Minim::Test::Html;

# The report as one HTML file that needs nothing else: a matrix of the groups of
# tests against the MTAs they were put to, each group with its tests, and what a
# failure or a skip was about one click away.
#
# The file holds its own data. A run that is given a file of an earlier run
# replaces that MTA's column, or adds one, and keeps the rest.

use v5.36;
use JSON::PP;
use Minim::Test::File qw(slurp spew);

my $BEGIN = '<script type="application/json" id="runs">';
my $END   = '</script>';

my $STYLE = <<'CSS';
body { font: 15px/1.5 sans-serif; margin: 2em; color: #222 }
table { border-collapse: collapse }
th, td { border: 1px solid #ccc; padding: .2em .8em; text-align: left; vertical-align: top }
.passed { background: #dff3df } .failed { background: #f8d3d0 } .skipped { background: #f4f0d0 }
.test td:first-child { padding-left: 2em }
pre { background: #f6f6f6; padding: .6em; overflow-x: auto } .add { color: #060 } .del { color: #a00 }
section { display: none } section:target { display: block; border-top: 2px solid #888 }
CSS

# A click on a group shows its tests.
my $FOLD = <<'JS';
<script>function fold(a) { var b = a.closest('tbody').nextElementSibling; b.hidden = !b.hidden }</script>
JS

# Writes the file. $run: {mta => heading of the column, outcomes => [as Job::run
# returns them]}.
sub write_file ($file, $run) {
    my @runs = grep { $_->{mta} ne $run->{mta} } _earlier($file);
    push @runs, { mta => $run->{mta}, outcomes => [map { _kept($_) } @{ $run->{outcomes} }] };
    spew($file, _page(sort { $a->{mta} cmp $b->{mta} } @runs));
    return;
}

sub _earlier ($file) {
    return unless -e $file;
    my ($json) = slurp($file) =~ /\Q$BEGIN\E(.*?)\Q$END\E/s or return;
    return @{ decode_json($json) };
}

sub _kept ($outcome) {
    my %kept = map { $_ => $outcome->{$_} } qw(num name group title state why seconds);
    $kept{diff} = join '', map { $_->{diff} } @{ $outcome->{diffs} };
    return \%kept;
}

sub _text ($text) {
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    return $text =~ s/([&<>"])/$entity{$1}/gr;
}

sub _page (@runs) {
    my (%at, %groups);
    for my $run (@runs) {
        for my $outcome (@{ $run->{outcomes} }) {
            $at{ $outcome->{name} }{ $run->{mta} } = $outcome;
            $groups{ $outcome->{group} }{ $outcome->{name} } = $outcome->{title};
        }
    }
    my @mtas = map { $_->{mta} } @runs;
    my $json = JSON::PP->new->ascii->canonical->encode(\@runs) =~ s{</}{<\\/}gr;
    return join '', "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>runtest</title>\n",
        "<style>\n$STYLE</style></head><body>\n<h1>Tests by group and MTA</h1>\n<table>\n<tr><th>group</th>",
        (map { '<th>' . _text($_) . '</th>' } @mtas), "</tr>\n",
        (map { _group_rows($_, $groups{$_}, \%at, @mtas) } sort keys %groups),
        "</table>\n", (map { _sections($_) } @runs), "$BEGIN$json$END\n$FOLD</body></html>\n";
}

# A line of counts for the group, and the lines of its tests, folded away.
sub _group_rows ($group, $titles, $at, @mtas) {
    my @names = sort keys %$titles;
    my $row   = sprintf '<tbody><tr><th><a href="#" onclick="fold(this);return false">%s</a></th>', _text($group);
    for my $mta (@mtas) {
        my %count = (passed => 0, failed => 0, skipped => 0);
        $count{ $_->{state} }++ for grep { defined } map { $at->{$_}{$mta} } @names;
        my $state = $count{failed} ? 'failed' : $count{passed} ? 'passed' : 'skipped';
        my @said  = map { $count{$_} ? "$count{$_} $_" : () } qw(passed failed skipped);
        $row .= @said ? "<td class=\"$state\">" . join(', ', @said) . '</td>' : '<td></td>';
    }
    $row .= "</tr></tbody>\n<tbody hidden>\n";
    for my $name (@names) {
        $row .= '<tr class="test"><td>' . _text("$name $titles->{$name}") . '</td>' . join('', map { _cell($_, $at->{$name}{$_}) } @mtas) . "</tr>\n";
    }
    return "$row</tbody>\n";
}

sub _anchor ($mta, $name) { return "$mta-$name" =~ s/[^\w-]/_/gr }

sub _cell ($mta, $outcome) {
    return '<td></td>' unless $outcome;
    my $state = $outcome->{state};
    return "<td class=\"$state\">$state</td>" if $outcome->{why} eq '';
    return "<td class=\"$state\"><a href=\"#" . _anchor($mta, $outcome->{name}) . "\">$state</a></td>";
}

# What is to be told of the tests that did not simply pass.
sub _sections ($run) {
    my $html = '';
    for my $outcome (grep { $_->{why} ne '' } @{ $run->{outcomes} }) {
        my $diff = _text($outcome->{diff});
        $diff =~ s{^(\+.*)$}{<span class="add">$1</span>}mg;
        $diff =~ s{^(-.*)$}{<span class="del">$1</span>}mg;
        $html .= sprintf "<section id=\"%s\"><h2>%s: %s</h2>\n<pre>%s</pre>\n<pre>%s</pre></section>\n", _anchor($run->{mta}, $outcome->{name}),
            _text($run->{mta}), _text("$outcome->{name} $outcome->{title}"), _text($outcome->{why}), $diff;
    }
    return $html;
}

1;
