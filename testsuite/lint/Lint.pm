package Lint;

# What the gates share: the list of files, findings, and a reader of C that sees
# code without comments and literals.
#
# A gate is a program `testsuite/lint/NAME [ROOT]` that looks at the tree below
# ROOT (default: the tree it lies in), calls finding() for each fault and ends
# with done(): exit status 0 without findings, 1 with. Notes go to standard
# output with a leading "# ". A gate has no list of exceptions.

use strict;
use warnings;
use Cwd qw(abs_path);
use File::Basename qw(dirname basename);
use File::Find ();
use Exporter qw(import);

our @EXPORT = qw(finding note done root c_files all_files slurp slurp_raw code_only functions
  code_lines line_of is_test);

my %seen;
my $root     = abs_path($ARGV[0] // dirname(abs_path(__FILE__)) . '/../..');
my $findings = 0;
die "no such folder: $ARGV[0]\n" unless defined $root && -d $root;
chdir $root or die "$root: $!\n";

sub root { return $root }

# One fault, said once: file (relative to the root), line, text.
sub finding {
    my ($file, $line, $text) = @_;
    my $row = "$file:$line: $text\n";
    return if $seen{$row}++;
    $findings++;
    print $row;
    return;
}

sub note { print "# @_\n"; return }

sub done { exit($findings ? 1 : 0) }

# The files below DIRS (relative to the root) whose names match RE, sorted.
sub find_files {
    my ($re, @dirs) = @_;
    my @found;
    my $wanted = sub {
        if (-d && ($_ eq '.git' || $File::Find::name =~ m{^(\./)?build$})) {
            $File::Find::prune = 1;
            return;
        }
        push @found, $File::Find::name =~ s{^\./}{}r if -f && !-l && /$re/;
    };
    @dirs = grep { -d } @dirs;
    File::Find::find($wanted, @dirs) if @dirs;
    return sort @found;
}

# C sources: of the product ('src'), or of the whole tree ('.').
sub c_files {
    my ($dir, $re) = @_;
    return find_files($re // qr/\.[ch]$/, $dir);
}

# Every file of the repository: those git knows or would take, or simply all.
sub all_files {
    if (-e '.git') {
        my @files = split /\0/, qx{git ls-files -z --cached --others --exclude-standard};
        return sort grep { -f && !-l } @files if !$?;
    }
    return find_files(qr/./, '.');
}

sub is_test { return basename($_[0]) =~ /^test_/ }

# The text of a file, as bytes.
sub slurp_raw {
    my ($file) = @_;
    open my $h, '<:raw', $file or die "$file: $!\n";
    local $/ = undef;
    my $text = <$h>;
    return $text // '';
}

{
    my %cache;
    sub slurp { my ($file) = @_; return $cache{$file} //= slurp_raw($file) }
}

# C text with the contents of comments and literals turned into blanks; line and
# column of everything else stay what they are.
sub code_only {
    my ($text) = @_;
    my $blank = sub { my ($s) = @_; $s =~ s/[^\n]/ /g; return $s };
    $text =~ s{(/\*.*?\*/|//[^\n]*)|"((?:\\.|[^"\\\n])*)"|'((?:\\.|[^'\\\n])*)'}
              {defined $1 ? $blank->($1) : defined $2 ? '"' . $blank->($2) . '"' : "'" . $blank->($3) . "'"}gse;
    return $text;
}

# How many lines hold code.
sub code_lines { my ($text) = @_; return scalar grep { /\S/ } split /\n/, code_only($text) }

sub line_of { my ($text, $pos) = @_; return 1 + (substr($text, 0, $pos) =~ tr/\n//) }

# The functions of C files, by ctags: list of {file, name, line, end}.
sub functions {
    my @files = @_;
    my @found;
    while (my @some = splice @files, 0, 200) {
        open my $h, '-|', 'ctags', '--languages=C', '--langmap=C:.c.h', '--kinds-C=f',
          '--fields=+ne', '--sort=no', '-o', '-', @some
          or die "ctags: $!\n";
        while (<$h>) {
            my ($name, $file) = /^(\S+)\t([^\t]+)\t/ or next;
            my ($line) = /\tline:(\d+)/ or next;
            my ($end)  = /\tend:(\d+)/  or next;
            push @found, {file => $file, name => $name, line => $line, end => $end};
        }
        close $h or die "ctags failed\n";
    }
    return sort { $a->{file} cmp $b->{file} || $a->{line} <=> $b->{line} } @found;
}

1;
