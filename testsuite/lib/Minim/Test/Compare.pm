package Minim::Test::Compare;

# Compares what a test left in its work folder with what is expected. Each
# output is one pairing of an expected file with the text found; compare()
# returns the list of differences, and with --update writes the expectations.

use v5.36;
use File::Path qw(make_path);
use File::Temp ();
use Minim::Test::Canon;
use Minim::Test::File qw(slurp spew below);
use Minim::Test::Matrix qw($ANY_SUFFIX);

my $SERVER_HEADING = "\n******** SERVER ********\n";

# $job: {suite, num, work, special => [endings of expectations for this run], flags,
# update}. Returns
# ({file => expected file, diff => text, why => short reason}, ...).
sub compare ($job) {
    my $self = bless { %$job, canon => Minim::Test::Canon->new(foreign => $job->{suite}->foreign, munge => $job->{flags}{munge} // {}), problems => [] }, __PACKAGE__;
    my %flags = %{ $job->{flags} };
    my %used;
    for my $output ($self->_outputs) {
        my ($kind, $name, $text, $skip) = @$output;
        $name = $self->{canon}->text('msglog', $name) if $kind eq 'msglog';
        my $file = $self->_expected_file($kind, $name);
        $used{$file} = 1;
        my $got = $flags{no_munge} ? $text : $self->{canon}->text($kind, $text);
        $got = _sorted($got) if $flags{sortlog} && $kind eq 'log';
        $self->_check($kind, $file, $got) unless $skip;
    }
    $self->_check_leftover(\%used);
    return @{ $self->{problems} };
}

# [kind, suffix of the expected file, text, leave out?] in the order in which
# ids are counted.
sub _outputs ($self) {
    my ($work, $flags) = @$self{qw(work flags)};
    my @outputs;
    push @outputs, ['panic',  '', $self->_logs('paniclog')];
    push @outputs, ['reject', '', $self->_logs('rejectlog')];
    push @outputs, ['log',    '', $self->_logs('mainlog')];
    my $server = -s "$work/test-stdout-server" ? $SERVER_HEADING . slurp("$work/test-stdout-server") : '';
    push @outputs, ['stdout', '', slurp("$work/test-stdout") . $server, $flags->{no_stdout_check}];
    my $debug = $flags->{debug} && $self->{suite}->foreign;    # another program's debugging output is its own
    push @outputs, ['stderr', '', slurp("$work/test-stderr"), $flags->{no_stderr_check} || $debug];
    push @outputs, map { ['mail', ".$_->[0]", $_->[1], $flags->{no_message_check}] } $self->_mails;
    push @outputs, map { ['msglog', ".$_", slurp("$work/spool/msglog/$_"), $flags->{no_msglog_check}] }
        below("$work/spool/msglog");
    return @outputs;
}

sub _logs ($self, $name) {
    my $dir  = "$self->{work}/spool/log";
    my $text = -e "$dir/$name" ? slurp("$dir/$name") : '';
    my $server = -e "$dir/server$name" ? slurp("$dir/server$name") : '';
    return $server eq '' ? $text : $text . $SERVER_HEADING . $server;
}

# Delivered mail: [name of the expected file, text]. Names that hold time and
# process (maildir) are replaced by a number, in the order of their content.
sub _mails ($self) {
    my $dir = "$self->{work}/test-mail";
    my (@mails, %group);
    for my $path (below($dir)) {
        my $text = slurp("$dir/$path");
        my $name = $path =~ s{/}{.}gr =~ s/\bcaller\b/CALLER/gr;
        if ($path =~ m{^(.*\b(?:new|cur|tmp))/[^/]+$}) { push @{ $group{ $1 =~ s{/}{.}gr } }, $text }
        else                                          { push @mails, [$name, $text] }
    }
    for my $folder (sort keys %group) {
        my $number = 0;
        push @mails, map { ["$folder." . ++$number, $_] } sort @{ $group{$folder} };
    }
    return @mails;
}

sub _sorted ($text) {
    return join '', map { "$_\n" } sort split /\n/, $text;
}

# A daemon works on several messages at a time, so the lines of one may come
# between those of another: those of a message are put behind its first.
sub _gathered ($text) {
    my $at = index $text, $SERVER_HEADING;
    return $text if $at < 0;
    my ($client, $server) = (substr($text, 0, $at), substr $text, $at);
    my (@groups, %group);
    for my $line ($server =~ /^.*\n?/mg) {
        my ($id) = $line =~ /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? (?:\[\d+\] )?(10Hm\w\w-\w+-\w+) /;
        if (defined $id && $group{$id}) { ${ $group{$id} } .= $line; next }
        push @groups, \(my $copy = $line);
        $group{$id} = $groups[-1] if defined $id;
    }
    return $client . join '', map { $$_ } @groups;
}

# The expectation for this run: NNNN.exim4 beside NNNN comes first, and so on.
sub _expected_file ($self, $kind, $suffix) {
    my $file = $self->{suite}->folder($kind) . "/$self->{num}$suffix";
    my $older = $file =~ s/\b(10Hm\w\w)-000000005vi-0000$/$1-0005vi-00/r;
    return $older if $self->{suite}->foreign && !-e $file && -e $older;
    my ($special) = grep { -e } map { "$file.$_" } @{ $self->{special} };
    return $special // $file;
}

sub _check ($self, $kind, $file, $got) {
    my $exists   = -e $file;
    my $expected = $exists ? slurp($file) : '';
    my $reason = $file =~ $ANY_SUFFIX && $expected =~ s/\A(#[^\n]*\n)// ? $1 : '';
    $expected = $self->_old_ids($expected) if $self->{suite}->foreign;
    $expected =~ s/\bEXIMUSER\b/CALLER/g if $> != 0 && !$self->{update};    # one user is everybody
    ($got, $expected) = map { _gathered($_) } $got, $expected if $kind eq 'log';
    return if $got eq $expected;
    my $why = $got eq '' ? "nothing came out, but there is an expectation" : !$exists ? 'not expected at all' : 'differs';
    push @{ $self->{problems} }, { file => $file, kind => $kind, why => $why, diff => diff($file, $expected, $got) };
    _rewrite($file, $reason . $got) if $self->{update};
    return;
}

# Suites written before Exim 4.97 have ids of the older form.
sub _old_ids ($self, $text) {
    return $text =~ s/\b(10Hm\w\w)-0005vi-00\b/$1-000000005vi-0000/gr;
}

sub _rewrite ($file, $text) {
    if ($text eq '') { unlink $file; return }
    make_path($file =~ s{/[^/]*$}{}r);
    spew($file, $text);
    return;
}

# Expected mails and message logs for which nothing was found.
sub _check_leftover ($self, $used) {
    my %flag = (mail => 'no_message_check', msglog => 'no_msglog_check');
    for my $kind (qw(mail msglog)) {
        next if $self->{flags}{ $flag{$kind} };
        for my $file (glob $self->{suite}->folder($kind) . "/$self->{num}.*") {
            next if $used->{$file} || $file =~ $ANY_SUFFIX && !grep { $file =~ /\.\Q$_\E$/ } @{ $self->{special} };
            next if grep { -e "$file.$_" } @{ $self->{special} };
            push @{ $self->{problems} }, {
                file => $file, kind => $kind, why => 'nothing came out, but there is an expectation',
                diff => diff($file, slurp($file), ''),
            };
            unlink $file if $self->{update};
        }
    }
    return;
}

# Control characters, blanks at the end of a line and a missing last line end
# are made visible.
sub visible ($text) {
    $text =~ s/([\x00-\x08\x0b-\x1f\x7f-\xff])/$1 eq "\r" ? '[CR]' : sprintf('[%02X]', ord $1)/ge;
    $text =~ s/( +)$/'[SP]' x length $1/gme;
    $text .= "[no line end]\n" if $text ne '' && $text !~ /\n\z/;
    return $text;
}

# A unified diff of two texts.
sub diff ($label, $expected, $got) {
    my @files = map { my $file = File::Temp->new; print {$file} visible($_); close $file; $file } $expected, $got;
    open my $pipe, '-|', 'diff', '-u', '--label', "expected $label", '--label', "found", map { $_->filename } @files
        or die "cannot run diff: $!\n";
    local $/ = undef;
    my $text = <$pipe> // '';
    close $pipe;
    return $text;
}

1;
