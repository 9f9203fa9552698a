package Talk;

# For tests of the daemon: SMTP conversations held open side by side, and what can
# be seen of the daemon's processes.

use strict;
use warnings;
use Exporter qw(import);
use IO::Socket::INET;
use Time::HiRes qw(sleep time);
our @EXPORT = qw(greet say send_mail daemon family signal_daemon logs await descriptors switches user_of);

# A new connection to PORT, its greeting read; the first line of it is returned too.
sub greet {
    my ($port) = @_;
    my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $port, Timeout => 10) or return;
    $s->autoflush(1);
    my $text = answer($s);
    return wantarray ? ($s, $text) : $s;
}

# The last line of a reply, 'closed' if there is none.
sub answer {
    my ($s) = @_;
    local $SIG{ALRM} = sub { die "no reply within 20 s\n" };
    alarm 20;
    while (defined(my $line = readline $s)) {
        next if $line =~ /^\d{3}-/;
        alarm 0;
        return $line =~ s/\s+$//r;
    }
    alarm 0;
    return 'closed';
}

sub say {
    my ($s, $line) = @_;
    local $SIG{PIPE} = 'IGNORE';
    print $s "$line\r\n";
    return answer($s);
}

# Envelope and text, as one transaction; the last reply.
sub send_mail {
    my ($s, $rcpt, $text) = @_;
    for my $line ('MAIL FROM:<sender@test.ex>', "RCPT TO:<$rcpt>", 'DATA') {
        my $reply = say($s, $line);
        return $reply if $reply !~ /^[23]/;
    }
    return say($s, "Subject: test\r\n\r\n$text\r\n.");
}

# The daemon's process number, from its file.
sub daemon {
    open my $h, '<', 'spool/exim-daemon.pid' or die "no pid file: $!\n";
    my $pid = readline $h;
    return $pid + 0;
}

sub signal_daemon { my ($signal) = @_; kill $signal, daemon() or die "no daemon\n"; return }

# A process and all that come from it.
sub family {
    my ($pid) = @_;
    open my $h, '<', "/proc/$pid/task/$pid/children" or return;
    my $children = readline($h) // '';
    return ($pid, map { family($_) } split ' ', $children);
}

sub logs {
    my $text = '';
    for my $file (glob 'spool/log/*mainlog spool/log/*paniclog') {
        open my $h, '<', $file or next;
        local $/ = undef;
        $text .= readline($h) // '';
    }
    return $text;
}

# Waits until CODE returns true; dies after 20 seconds.
sub await {
    my ($what, $code) = @_;
    for (my $end = time + 20; time < $end; sleep 0.02) {
        my $value = $code->();
        return $value if $value;
    }
    die "waited in vain for $what\n";
}

sub descriptors { my ($pid) = @_; my @fds = glob "/proc/$pid/fd/*"; return scalar @fds }

# How often the processes were switched to, in all.
sub switches {
    my $sum = 0;
    for my $pid (@_) {
        open my $h, '<', "/proc/$pid/status" or next;
        while (my $line = readline $h) { $sum += $1 if $line =~ /ctxt_switches:\s+(\d+)/ }
    }
    return $sum;
}

# The effective user of a process.
sub user_of { my ($pid) = @_; return (stat "/proc/$pid")[4] }

1;
