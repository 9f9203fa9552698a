package Minim::Test::Script;

# Reads a test script into a list of commands. Knows the shape of the language
# (comments, exit codes, prefixes, continuation, input up to ****), and asks the
# command table which commands take input; it runs nothing.
#
# A command is a hash:
#   line    number of its line in the script
#   name    the command word; args: the rest of its line, as text
#   raw     the line as written, less the prefixes
#   env     [NAME=value, ...] to be set for it
#   hold    seconds for which its standard input stays open
#   sudo    login to run it as, or undef for the caller
#   expect  exit code wanted ('0', 'N' or '~N')
#   input   [lines], for a command that takes input

use v5.36;

sub parse ($text, $takes_input) {
    my @lines = split /\n/, $text;
    my ($at, @commands, $expect, @env) = (0);
    my $next = sub { return $at < @lines ? $lines[$at++] : undef };
    while (defined(my $line = $next->())) {
        my $number = $at;
        if ($line =~ /^###\s?(.*)/) { push @commands, _heading($number, $line); next }
        next if $line =~ /^\s*(#|$)/;
        if ($line =~ /^\s*(~?\d+)((?:\s+\w+=\S*)*)\s*$/) {
            $expect = $1;
            push @env, split ' ', $2;
            next;
        }
        while ($line =~ s/\\$//) { $line .= ($next->() // '') =~ s/^\s+//r }
        my $command = parse_command($line, $number);
        $command->{expect} = $expect // '0';
        unshift @{ $command->{env} }, @env;
        ($expect, @env) = ();
        my $takes = $takes_input->($command->{name});
        die "line $number: unknown command: $line\n" unless defined $takes;
        $command->{input} = _input($next, $number, $command->{name}) if $takes;
        push @commands, $command;
    }
    return @commands;
}

sub _heading ($number, $line) {
    return { line => $number, name => '###', raw => $line, args => $line, env => [], expect => '0' };
}

sub _input ($next, $number, $name) {
    my @input;
    while (defined(my $line = $next->())) {
        return \@input if $line eq '****';
        push @input, $line;
    }
    die "line $number: the input of '$name' does not end with ****\n";
}

# One command line, with its prefixes taken off.
sub parse_command ($line, $number = 0) {
    my %command = (line => $number, env => [], hold => 0);
    $line =~ s/^\s+|\s+$//g;
    push @{ $command{env} }, $1 while $line =~ s/^([A-Za-z_]\w*=\S*)\s+(?=\S)//;
    $command{hold} = $1 if $line =~ s/^(\d+)\s+(?=\S)//;
    $command{sudo} = $1 // 'root' if $line =~ s/^sudo\s+(?:-u\s+(\S+)\s+)?//;
    $command{raw} = $line;
    my ($name, $args) = $line =~ /^(\S+)(?:\s+(.*))?$/s;
    $command{name} = $name =~ /^(?:exim(?:_\w+)?|mta)$/ && $name !~ /^exim_(?:lock|dbmbuild)$/ ? 'exim' : $name;
    $command{args} = $args // '';
    return \%command;
}

# Splits text into words as a shell would, for quotes and backslashes only.
sub words ($text) {
    my @words;
    while ($text =~ /\G\s*((?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+)/gcs) {
        my $word = $1;
        $word =~ s{"((?:[^"\\]|\\.)*)"|'([^']*)'|\\(.)|([^"'\\]+)}
                  {defined $1 ? $1 =~ s/\\(["\\\$`])/$1/gr : $2 // $3 // $4}gse;
        push @words, $word;
    }
    return @words;
}

1;
