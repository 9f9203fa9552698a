package Durable::Sink;

# The server remote mail goes to. A process a connection; what it acknowledges is
# noted in one file, a line an event, before the acknowledgement goes out:
#   ack CONNECTION NAME WHOLE RCPT...   250 to the message is about to be sent
#   next CONNECTION                     the client said something after that
# An `ack` with no `next` on its connection is one the client may not have seen,
# or not noted, before it died. While the file `refuse` exists, it answers 450 to
# every recipient.

use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw(sleep);
use Durable::Server;
use Durable::Verdict;

sub start {
    my ($class, $dir) = @_;
    my $listen = IO::Socket::INET->new(
        LocalAddr => '127.0.0.2', LocalPort => $Durable::Server::SINK_PORT, Listen => 100, ReuseAddr => 1)
      or die "sink: $!\n";
    my $self = bless {file => "$dir/sink", refuse => "$dir/refuse"}, $class;
    $self->{pid} = fork // die "fork: $!\n";
    return $self if $self->{pid};

    $SIG{TERM} = $SIG{INT} = 'DEFAULT';
    $SIG{CHLD} = $SIG{PIPE} = 'IGNORE';
    open $self->{notes}, '>>', $self->{file} or POSIX::_exit(1);
    $self->{notes}->autoflush(1);
    for (my $n = 1; ; $n++) {
        my $s = $listen->accept or next;
        my $pid = fork;
        next if !defined $pid || $pid;
        close $listen;
        $self->serve($s, $n);
        POSIX::_exit(0);
    }
}

sub stop { my ($self) = @_; kill 'TERM', $self->{pid}; waitpid $self->{pid}, 0; return }

# Makes it refuse, or accept again.
sub refuse {
    my ($self, $yes) = @_;
    if ($yes) { open my $h, '>', $self->{refuse} or die "$self->{refuse}: $!\n" }
    else      { unlink $self->{refuse} }
    return;
}

sub serve {
    my ($self, $s, $connection) = @_;
    srand $connection;
    $s->autoflush(1);
    print $s "220 sink\r\n";
    my (@rcpt, $acked);
    while (defined(my $line = readline $s)) {
        if ($acked) { print {$self->{notes}} "next $connection\n"; $acked = 0 }
        if ($line =~ /^(?:EHLO|HELO)/i) { print $s "250 sink\r\n" }
        elsif ($line =~ /^(?:MAIL|RSET)/i) { @rcpt = (); print $s "250 yes\r\n" }
        elsif ($line =~ /^RCPT TO:<([^>]*)>/i) {
            if (-e $self->{refuse}) { print $s "450 not now\r\n" }
            else                    { push @rcpt, $1; print $s "250 yes\r\n" }
        }
        elsif ($line =~ /^DATA/i) {
            if (!@rcpt) { print $s "503 no recipients\r\n"; next }
            print $s "354 go on\r\n";
            my $text = '';
            while (1) {
                $line = readline $s;
                return if !defined $line;
                last if $line =~ /^\.\r?\n/;
                $text .= $line =~ s/^\.//r;
            }
            my ($name, $whole) = Durable::Verdict::recognise($text);
            print {$self->{notes}} "ack $connection $name $whole @rcpt\n";
            $acked = 1;
            sleep rand 0.01 if rand 3 < 1;
            print $s "250 taken\r\n";
        }
        elsif ($line =~ /^QUIT/i) { print $s "221 bye\r\n"; return }
        else                      { print $s "250 yes\r\n" }
    }
    return;
}

1;
