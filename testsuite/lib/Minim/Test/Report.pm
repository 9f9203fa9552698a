package Minim::Test::Report;

# Tells the user: on the terminal, or in the Test Anything Protocol; and into a
# JUnit file and a page for a browser if wanted. The last line on the terminal is always the count.

use v5.36;
use Minim::Test::File qw(spew);
use Minim::Test::Html;

sub new ($class, $opt, $total, $repeat) {
    my $self = bless { opt => $opt, outcomes => [], number => 0, repeat => $repeat }, $class;
    print "TAP version 13\n1..$total\n" if $opt->{tap};
    return $self;
}

sub add ($self, $outcome) {
    push @{ $self->{outcomes} }, $outcome;
    $self->{number}++;
    return $self->{opt}{tap} ? $self->_tap($outcome) : $self->_terminal($outcome);
}

sub _label ($outcome) { return "$outcome->{name} $outcome->{group}: $outcome->{title}" }

sub _details ($self, $outcome) {
    my $text = $outcome->{why} =~ s/\n*\z/\n/r;
    $text .= $_->{diff} for @{ $outcome->{diffs} };
    return $text unless $outcome->{state} eq 'failed';
    return $text . "work folder: $outcome->{work}\nrepeat with: $self->{repeat} $outcome->{name}\n";
}

sub _terminal ($self, $outcome) {
    my %word = (passed => 'ok  ', failed => 'FAIL', skipped => 'skip');
    my $word = $outcome->{updated} ? 'new ' : $word{ $outcome->{state} };
    my $line = sprintf '%s %s (%.2f s)', $word, _label($outcome), $outcome->{seconds};
    $line .= " [$outcome->{why}]" if $outcome->{state} eq 'skipped';
    print "$line\n";
    print $self->_details($outcome) =~ s/^/    /mgr if $outcome->{state} eq 'failed' || @{ $outcome->{diffs} };
    return;
}

sub _tap ($self, $outcome) {
    my $line = ($outcome->{state} eq 'failed' ? 'not ok' : 'ok') . " $self->{number} - " . _label($outcome) =~ tr/#/-/r;
    $line .= ' # SKIP ' . $outcome->{why} =~ s/\n.*//sr if $outcome->{state} eq 'skipped';
    print "$line\n";
    print $self->_details($outcome) =~ s/^/# /mgr if $outcome->{state} eq 'failed';
    return;
}

sub counts ($self) {
    my %count = (passed => 0, failed => 0, skipped => 0);
    $count{ $_->{state} }++ for @{ $self->{outcomes} };
    return %count;
}

# The end: returns the exit status.
sub finish ($self) {
    my %count = $self->counts;
    $self->_junit if $self->{opt}{junit};
    Minim::Test::Html::write_file($self->{opt}{html}, { mta => $self->_subject, outcomes => $self->{outcomes} }) if $self->{opt}{html};
    my $line = "$count{passed} passed, $count{failed} failed, $count{skipped} skipped\n";
    print $self->{opt}{tap} ? "# $line" : $line;
    return $count{failed} ? 1 : 0;
}

# What was tested, in few words.
sub _subject ($self) {
    my $opt = $self->{opt};
    my @checked = map { $opt->{$_} ? " under $_" : () } qw(valgrind asan);
    return join '', $opt->{mta} =~ s{.*/}{}r, @checked;
}

sub _xml ($text) {
    my %entity = ('&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;');
    return $text =~ s/([&<>"])/$entity{$1}/gr =~ s/[^\x09\x0a\x20-\x7e]/?/gr;
}

sub _junit ($self) {
    my %count = $self->counts;
    my $total = @{ $self->{outcomes} };
    my $xml   = qq{<?xml version="1.0" encoding="UTF-8"?>\n}
        . qq{<testsuite name="runtest" tests="$total" failures="$count{failed}" skipped="$count{skipped}">\n};
    for my $outcome (@{ $self->{outcomes} }) {
        $xml .= sprintf qq{  <testcase classname="%s" name="%s" time="%.3f">}, _xml($outcome->{group}),
            _xml("$outcome->{name} $outcome->{title}"), $outcome->{seconds};
        my $why = _xml($outcome->{why} =~ s/\n.*//sr);
        $xml .= qq{<failure message="$why">} . _xml($self->_details($outcome)) . '</failure>' if $outcome->{state} eq 'failed';
        $xml .= qq{<skipped message="$why"/>} if $outcome->{state} eq 'skipped';
        $xml .= "</testcase>\n";
    }
    spew($self->{opt}{junit}, "$xml</testsuite>\n");
    return;
}

1;
