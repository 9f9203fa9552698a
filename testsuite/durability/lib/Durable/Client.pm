package Durable::Client;

# A client that remembers what it was promised. Each message has a name of its
# own in the Subject, numbered lines and a last line, so that whoever finds it
# can tell which it is and whether it is whole. What happened is noted in a file,
# a line an event, before anything else is done:
#   sent NAME RCPT...        the final dot is about to go out
#   accepted NAME            250 came
#   refused NAME REPLY       another reply came, at whatever command
# A message that was sent and neither accepted nor refused may have arrived.

use strict;
use warnings;
use IO::Handle;
use IO::Socket::INET;
use Time::HiRes qw(sleep);
use Durable::Server;

# FILE: the notes; NAME: prefix of the messages' names.
sub new {
    my ($class, %arg) = @_;
    open my $notes, '>>', $arg{file} or die "$arg{file}: $!\n";
    $notes->autoflush(1);
    return bless {%arg, notes => $notes, serial => 0}, $class;
}

sub note { my ($self, @words) = @_; print {$self->{notes}} "@words\n"; return }

# Connects; false if that fails.
sub connect {
    my ($self) = @_;
    $self->{socket} = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $Durable::Server::PORT, Timeout => 5) or return;
    $self->{socket}->autoflush(1);
    return $self->reply =~ /^2/ && $self->say_('EHLO client.test') =~ /^2/;
}

# The last line of a reply, '' if the server went away.
sub reply {
    my ($self) = @_;
    my $text = eval {
        local $SIG{ALRM} = sub { die "timeout\n" };
        alarm 30;
        my $line;
        while (defined($line = readline $self->{socket})) { last if $line =~ /^\d{3}(?: |\r)/ }
        alarm 0;
        $line;
    };
    alarm 0;
    return ($text // '') =~ s/\s+$//r;
}

sub say_ {
    my ($self, $line) = @_;
    local $SIG{PIPE} = 'IGNORE';
    return print({$self->{socket}} "$line\r\n") ? $self->reply : '';
}

sub quit {
    my ($self) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print {$self->{socket}} "QUIT\r\n" if $self->{socket};
    delete $self->{socket};
    return;
}

# One message of LINES lines; returns the last reply, '' if the connection broke.
sub send {
    my ($self, $lines, @rcpt) = @_;
    my $name = sprintf '%s-%06d', $self->{name}, ++$self->{serial};
    for my $line ("MAIL FROM:<$Durable::Server::SENDER\@local.test>", map({ "RCPT TO:<$_>" } @rcpt), 'DATA') {
        my $reply = $self->say_($line);
        next if $reply =~ /^[23]/;
        $self->note('refused', $name, $reply) if $reply ne '';
        return $reply;
    }
    my $text = join '', "Subject: $name\r\nX-Lines: $lines\r\n\r\n", map { sprintf "%06d %s\r\n", $_, 'x' x 60 } 1 .. $lines;
    $self->note('sent', $name, @rcpt);
    my $reply = $self->say_("${text}END $name\r\n.");
    $self->note($reply =~ /^250/ ? 'accepted' : 'refused', $name, $reply) if $reply ne '';
    return $reply;
}

# Where a message's recipients are; two remote places are delivered to at the same time.
my @PLACES = (["local"], ["remote"], ["local", "remote"], ["remote", "far"], ["far", "local", "remote"]);

# Sends at random, over and over, until SIGTERM.
sub rage {
    my ($self, $seed) = @_;
    srand $seed;
    my $stop = 0;
    local $SIG{TERM} = sub { $stop = 1 };
    while (!$stop) {
        if (!$self->connect) { sleep 0.01; next }
        for (0 .. rand 4) {
            my $user = $Durable::Server::USERS[rand @Durable::Server::USERS];
            my @rcpt  = map { "$user\@$_.test" } @{$PLACES[rand @PLACES]};
            my $lines = (3, 30, 60, 500)[rand 4];
            last if $stop || $self->send($lines, @rcpt) eq '';
            sleep rand 0.02;
        }
        $self->quit;
    }
    return;
}

1;
