package Minim::Test::File;

# Small file helpers. Everything is bytes; every failure dies with the name.

use v5.36;
use Exporter qw(import);
our @EXPORT_OK = qw(slurp spew append below);

sub slurp ($path) {
    open my $in, '<:raw', $path or die "cannot read $path: $!\n";
    local $/ = undef;
    return scalar(<$in>) // '';
}

sub spew ($path, $text) {
    open my $out, '>:raw', $path or die "cannot write $path: $!\n";
    print {$out} $text or die "cannot write $path: $!\n";
    close $out or die "cannot write $path: $!\n";
    return;
}

sub append ($path, $text) {
    open my $out, '>>:raw', $path or die "cannot write $path: $!\n";
    print {$out} $text or die "cannot write $path: $!\n";
    close $out or die "cannot write $path: $!\n";
    return;
}

# Paths, relative to the folder and sorted, of all plain files below it.
sub below ($dir, $prefix = '') {
    opendir my $handle, $dir or return;
    my @found;
    for my $name (sort grep { $_ ne '.' && $_ ne '..' } readdir $handle) {
        if (-d "$dir/$name" && !-l "$dir/$name") { push @found, below("$dir/$name", "$prefix$name/") }
        else                                     { push @found, "$prefix$name" }
    }
    return @found;
}

1;
