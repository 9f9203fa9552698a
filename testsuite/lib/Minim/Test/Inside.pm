package Minim::Test::Inside;

# The first process of a test's namespaces: builds the world, runs the script,
# writes the result where the runner outside finds it. Called with the folder
# that holds the specification.

use v5.36;
use JSON::PP;
use Minim::Test::File qw(slurp spew);
use Minim::Test::Runner;
use Minim::Test::World;

sub main ($spec_file, $result_file) {
    my $spec = decode_json(slurp($spec_file));
    open my $result, '>:raw', $result_file or die "cannot write $result_file: $!\n";
    $SIG{PIPE} = 'IGNORE';
    my $outcome = eval {
        my $world = Minim::Test::World->build($spec);
        Minim::Test::Runner->new($world, $spec)->run;
    } // { failed => $@ || 'unknown error', unready => 1 };
    print {$result} encode_json($outcome);
    close $result or die "cannot write $result_file: $!\n";
    return 0;
}

1;
