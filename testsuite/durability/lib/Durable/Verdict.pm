package Durable::Verdict;

# Compares what clients were promised with what arrived.

use strict;
use warnings;
use Bench::Private qw(slurp);
use Durable::Server;

# The name of a message, and whether it is whole: 1 or 0.
sub recognise {
    my ($text) = @_;
    my ($name)  = $text =~ /^Subject: (\S+)\r?$/m;
    my ($lines) = $text =~ /^X-Lines: (\d+)\r?$/m;
    return ('?', 0) unless defined $name && defined $lines;
    my $found = () = $text =~ /^\d{6} x{60}\r?$/mg;
    return ($name, $found == $lines && $text =~ /\nEND \Q$name\E\r?\n\s*\z/ ? 1 : 0);
}

# Reads the notes of the clients: {NAME}{sent => [RCPT...], accepted => 1, refused => REPLY}.
sub promises {
    my (@files) = @_;
    my %message;
    for my $line (map { split /\n/, slurp($_) // '' } @files) {
        my ($what, $name, $rest) = split ' ', $line, 3;
        $message{$name}{$what} = $what eq 'sent' ? [split ' ', $rest] : $rest // 1;
    }
    return \%message;
}

# What the maildirs and the sink got: {"NAME RCPT"} = list of how often and how:
# 'settled', or 'open' if the client may not have learnt it, or 'broken'.
sub arrivals {
    my ($dir, $sink_file) = @_;
    my (%got, %next, @bounces);
    for my $user (@Durable::Server::USERS, $Durable::Server::SENDER) {
        for my $file (glob "$dir/home/$user/Maildir/new/* $dir/home/$user/Maildir/cur/*") {
            my $text = slurp($file);
            if ($user eq $Durable::Server::SENDER) { push @bounces, $file; next }
            my ($name, $whole) = recognise($text);
            push @{$got{"$name $user\@local.test"}}, $whole ? 'settled' : 'broken';
        }
    }
    my @lines = split /\n/, slurp($sink_file) // '';
    # The last `ack` of a connection is open unless something came after it.
    my %open;
    for my $line (@lines) {
        my ($what, $connection, $name, $whole, @rcpt) = split ' ', $line;
        if ($what eq 'next') { $_->[0] = 'settled' for grep { $_->[0] eq 'open' } @{delete $open{$connection} // []}; next }
        for my $rcpt (@rcpt) {
            my $state = [$whole ? 'open' : 'broken'];
            push @{$open{$connection}}, $state;
            push @{$got{"$name $rcpt"}}, $state;
        }
    }
    for my $list (values %got) { $_ = ref $_ ? $_->[0] : $_ for @$list }
    return (\%got, \@bounces);
}

# Prints the account; returns the number of faults. MAY_REPEAT: how many local
# deliveries may be there twice.
sub judge {
    my ($dir, $sink_file, $may_repeat, @notes) = @_;
    my $message = promises(@notes);
    my ($got, $bounces) = arrivals($dir, $sink_file);
    my %n = map { ($_ => 0) } qw(sent accepted refused unknown arrived excused local_twice);
    my @faults;
    for my $name (sort keys %$message) {
        my $m = $message->{$name};
        $n{accepted}++ if $m->{accepted};
        $n{refused}++  if $m->{refused};
        $n{sent}++     if $m->{sent};
        $n{unknown}++  if $m->{sent} && !$m->{accepted} && !$m->{refused};
        for my $rcpt (@{$m->{sent} // []}) {
            my @how = @{delete $got->{"$name $rcpt"} // []};
            $n{arrived}++ if @how;
            push @faults, "lost: $name for $rcpt was accepted and is nowhere" if $m->{accepted} && !@how;
            push @faults, "refused, but delivered: $name for $rcpt" if $m->{refused} && @how;
            push @faults, "not whole: $name for $rcpt" if grep { $_ eq 'broken' } @how;
            next if @how < 2;
            # One copy is right; each further one needs a copy the server may not know of.
            my $open = grep { $_ eq 'open' } @how;
            if ($open >= @how - 1) { $n{excused} += @how - 1 }
            elsif ($rcpt =~ /\@local\.test$/ && $n{local_twice} < $may_repeat) { $n{local_twice} += @how - 1 }
            else { push @faults, "delivered " . @how . " times: $name for $rcpt (@how)" }
        }
    }
    push @faults, "came from nowhere: $_" for sort keys %$got;
    push @faults, "bounced: $_" for @$bounces;
    print "messages: $n{accepted} accepted, $n{refused} refused, $n{unknown} without a reply; $n{arrived} deliveries\n";
    print "delivered again because the server may not have noted the reply: $n{excused}\n";
    print "delivered to a maildir twice (allowed here): $n{local_twice}\n" if $may_repeat;
    print "FAULT $_\n" for @faults[0 .. (@faults > 20 ? 19 : $#faults)];
    print '... and ', @faults - 20, " more\n" if @faults > 20;
    return scalar @faults;
}

1;
