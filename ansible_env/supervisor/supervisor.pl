# What `run` of supervisor.sh and the first wait for it do, in one program in place of some fifteen: a short script costs
# the target a third of the CPU time so. Only for targets with a Perl, and only the usual case; the files are the same,
# and whatever comes later (poll, stop) is supervisor.sh's.
#
#   perl supervisor.pl DIR BOOT TIMEOUT GRACE REAP HOLD NONCE WAIT TICK CHUNK DROP MASK SHELL CHDIR
#
# No module is loaded: some take longer than all else, and Debian's perl-base has few. Without them setsid(2),
# clock_gettime(2), exit_group(2), prctl(2) and getrusage(2) go by number, and where those are not known nothing is
# begun, for supervisor.sh to do all of it.
#
# `run` is the subreaper of the script (PR_SET_CHILD_SUBREAPER): a process that has left the script's session becomes a
# child of `run` when its parent ends. So none is overlooked, and the CPU time of each is counted.

my ($dir, $boot, $timeout, $grace, $reap, $hold, $nonce, $wait, $tick, $chunk, $drop, $mask, $shell, $chdir)
  = @ARGV;
# By e_machine: x86_64, aarch64.
my %numbers = ("\x3e\0" => [112, 228, 231, 157, 98], "\xb7\0" => [157, 113, 94, 167, 165]);
my ($elf, $exe) = '';
open($exe, '<', '/proc/self/exe') && sysread($exe, $elf, 20) == 20 or exit 98;
my ($setsid, $clock_gettime, $exit_group, $prctl, $getrusage) = @{$numbers{substr $elf, 18} || exit 98};
substr($elf, 4, 2) eq "\2\1" or exit 98; # 64 bit, little-endian
chdir $dir or exit 98;

sub now { # seconds by a clock: 0, the time of day; 1, which nobody sets; 7, that one with the time spent suspended
  my $time = "\0" x 16;
  syscall $clock_gettime, $_[0], $time;
  sprintf '%d.%09d', unpack 'qq', $time;
}

sub done { # without Perl's own tidying, which costs each process a fifth of a millisecond
  syscall $exit_group, 0;
  exit;
}

sub pause { select undef, undef, undef, 0.1 }

sub put { # in one write: a file that is not empty is complete
  my ($name, $text, $flags) = @_;
  sysopen(my $file, $name, $flags || 01101, 0666) or return 0; # O_WRONLY, O_CREAT, O_TRUNC; 1: over what is there
  length $text ? (syswrite($file, $text) || 0) == length $text : 1;
}

sub line { # the first of a file, or nothing
  open my $file, '<', $_[0] or return '';
  my $line = <$file>;
  $line = '' unless defined $line;
  chomp $line;
  $line;
}

sub names { # of the files in a directory that a pattern fits; `glob` would load a module
  my ($where, $pattern) = @_;
  opendir my $files, $where or return ();
  grep { /$pattern/ } readdir $files;
}

sub children { # children of `run` that have come from the script; those of its own are in its session
  1 while waitpid(-1, 1) > 0; # WNOHANG: those that have ended
  my $file = "/proc/$$/task/$$/children";
  my @pids = -e $file ? split ' ', line($file) : names('/proc', '^\d+$');
  grep { line("/proc/$_/stat") =~ /.*\) [^ZX] $$ \S+ (\S+) / && $1 != $$ } @pids;
}

sub command { # the name of a process
  my ($name) = line("/proc/$_[0]/stat") =~ /\((.*)\)/;
  $name =~ s/[^\w.-]/_/g if defined $name;
  $name;
}

sub end_leftovers { # end_leftovers SECONDS: TERM, a grace period, KILL; what ends gives its children to us
  my $over = now(1) + $_[0];
  my %told;
  while (my @left = children()) {
    my $kill = now(1) > $over;
    my $count = 0;
    for (@left) {
      if ($told{$_} && !$kill) { $count++; next }
      $told{$_} = 1;
      $count += kill $kill ? 'KILL' : 'TERM', $_;
      kill 'CONT', $_;
    }
    last if !$count || now(1) > $over + 2; # another user's, or stuck in the kernel
    pause();
  }
}

sub counters { # of the host and of the script, as supervisor.sh's; a dash for what is not known
  my ($name, @cpu) = split ' ', line('/proc/stat');
  my ($total, %vm) = (0);
  $total += $_ || 0 for @cpu[0 .. 7];
  if (open my $file, '<', '/proc/vmstat') { while (<$file>) { $vm{$1} = $2 if /^(pgpgin|pgpgout|pswpin|oom_kill) (\d+)/ } }
  my @pressure = map { line("/proc/pressure/$_") =~ / total=(\d+)/ ? $1 : '-' } 'cpu', 'io', 'memory';
  my $usage = "\0" x 144;
  syscall $getrusage, -1, $usage; # RUSAGE_CHILDREN
  my @used = unpack 'q5', $usage;
  my %io;
  if (open my $file, '<', "/proc/$$/io") { while (<$file>) { $io{$1} = $2 if /^(read_bytes|write_bytes): (\d+)/ } }
  my $throttled = line('/sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count');
  join ',', map { defined $_ && length $_ ? $_ : '-' } now(7), @cpu ? $cpu[0] + $cpu[1] + $cpu[2] : '-', $total,
    $cpu[7], @pressure, @vm{'pgpgin', 'pgpgout', 'pswpin', 'oom_kill'}, $throttled, $used[0] * 1000000 + $used[1],
    $used[2] * 1000000 + $used[3], @io{'read_bytes', 'write_bytes'}, $used[4];
}

sub drop { # the directory, and the lease that is given back with it
  my ($token, $lease) = split ' ', line('lease'), 2;
  unlink $lease if $lease && line($lease) =~ /^\Q$token\E /;
  for (1 .. 3) { # should a poll come at this moment, it makes a file of its own
    unlink names('.', '^[^.]');
    last if rmdir $dir;
  }
}

sub supervisor { # have supervisor.sh do something
  my $pid = fork;
  defined $pid or return -1;
  return $pid if $pid;
  exec '/bin/sh', "$dir/supervisor", @_;
  exit 127;
}

sub pass { # pass FROM TO AMOUNT: from a pipe to a file, or to nowhere; how much, or -1 where the file takes no more
  my ($from, $to, $amount) = @_;
  my ($data, $count);
  1 until defined($count = sysread $from, $data, $amount) || $! != 4; # EINTR
  for (my $done = 0; $to && $count && $done < $count;) {
    my $written = syswrite $to, $data, $count - $done, $done;
    next if !defined $written && $! == 4;
    return -1 unless $written;
    $done += $written;
  }
  $count || 0;
}

# Brings what the script prints to files, by way of pipes: a script that opens /dev/stdout anew would truncate a file.
# Ends the script at its deadline, too, even if somebody has killed `run`. At the end it reports whether all was written,
# and goes on to read what is printed by what lives on: that must not lose its reader.
sub keep {
  my ($out, $err, $report, $life) = @_;
  my ($ended, $over, $result, %open) = (0, 0, 'all');
  # 02001: O_WRONLY, O_APPEND
  for (['out', $out], ['err', $err]) { sysopen(my $to, $_->[0], 02001) or exit 1; $open{$_->[0]} = [$_->[1], $to] }
  $SIG{$_} = 'IGNORE' for 'HUP', 'INT', 'QUIT', 'USR1', 'PIPE';
  $SIG{TERM} = sub { $ended ||= 1 };
  my $deadline = length $timeout ? now(1) + $timeout : 0;
  until ($over && !%open) {
    if ($ended == 1) {
      for my $files (values %open) { # what was printed until now, and no more
        my ($from, $to) = @$files;
        my $more = pack 'i', 0;
        ioctl $from, 0x541b, $more; # FIONREAD
        for ($more = unpack 'i', $more; $more > 0;) {
          my $count = pass($from, $to, $more) or last;
          $result = 'lost', last if $count < 0;
          $more -= $count;
        }
        pop @$files;
      }
      syswrite $report, $result;
      ($ended, $over, $deadline) = (2, 1, 0);
      next;
    }
    my $bits = '';
    vec($bits, fileno $_->[0], 1) = 1 for values %open;
    vec($bits, fileno $life, 1) = 1 if $life;
    my $left = $deadline ? $deadline - now(1) : 3600;
    if ($left <= 0) {
      supervisor('stop', 'timeout');
      $deadline = 0;
      $over = 1 unless $life;
      next;
    }
    next unless select($bits, undef, undef, $left) > 0;
    for my $name (keys %open) {
      next unless vec $bits, fileno $open{$name}[0], 1;
      my $count = pass(@{$open{$name}}[0, 1], 65536);
      $result = 'lost' if $count < 0;
      close((delete $open{$name})->[0]) if $count <= 0;
    }
    if ($life && vec $bits, fileno $life, 1) {
      if (sysread $life, my $word, 1) { $ended ||= 1 } # the script has
      else { $over = 1 unless $deadline } # somebody killed `run`
      undef $life;
    }
  }
  done();
}

sub become { # the script, as `go` does it; comes back where that has to
  my $start = length $chdir ? $chdir : defined $ENV{HOME} && length $ENV{HOME} ? $ENV{HOME} : '/';
  # Other names lead to a PWD that a shell would have to make out, or elsewhere.
  return if $mask !~ /^[0-7]+$/ || $start !~ m{^/} || $start =~ m{//|/\.\.?(/|$)|./$};
  open my $file, '<', 'env' or return;
  my ($exports, %env) = join '', <$file>;
  while ($exports =~ /\Gexport (\w+)='((?:[^']++|'\\'')*+)'\n/gc) { $env{$1} = $2 }
  return if pos $exports != length $exports;
  put('pid', "$$\n", 1) or exit 1;
  exit 143 unless -e 'unended'; # a process that ends us renames that first, and then reads `pid`
  chdir $start or return;
  put("$dir/env", '') or exit 1;
  umask oct $mask;
  $ENV{PWD} = $start;
  delete $ENV{OLDPWD};
  for my $name (keys %env) {
    ($ENV{$name} = $env{$name}) =~ s/'\\''/'/g;
  }
  { exec $shell, "$dir/script" }
  exec '/bin/sh', '-c', 'exec "$0" "$1"', $shell, "$dir/script"; # it reports why not, and with which status
}

sub held_time { # held_time BEHIND: now, by the clock as it was when the script was staged, should somebody have set it
  my ($time, $held) = (now(0), now(7) + $_[0]);
  abs($time - $held) > 1 ? sprintf '%.3f', $held : $time;
}

sub await_release { # until all hosts may start; the controller may be gone
  my ($behind) = @_;
  for (1 .. $hold * 10) { last if -s 'release' || !-e 'unended'; pause() }
  if (!-s 'release') {
    rename 'unended', 'why.canceled';
    put('stopped', "1\n", 1);
    return;
  }
  my $left = line('release') / 1000 - held_time($behind);
  select undef, undef, undef, $left if $left > 0 && $left <= $hold;
}

sub end_all { # end_all BY_ITSELF: what the script has left behind, if that is wanted; what had left its session
  my ($by_itself) = @_;
  my @left = children() or return '';
  my $session = line('pid');
  if ($by_itself && $reap && $session) {
    waitpid supervisor('end'), 0;
    @left = children();
  }
  my $text = substr join(' ', map { defined command($_) ? "$_:" . command($_) : () } @left), 0, 600;
  if (@left && ($reap || !$by_itself)) {
    end_leftovers($by_itself ? $grace : 1);
    if (@left = children()) {
      my $pids = substr join(' ', line('left'), @left), 0, 2500;
      put('left', "$pids\n");
    }
  }
  $text;
}

sub run {
  my ($news) = @_; # `s` when the script is there, `x` when it could not be started, a line when it has ended
  syscall $setsid;
  syscall $prctl, 36, 1, 0, 0, 0; # PR_SET_CHILD_SUBREAPER
  $SIG{$_} = sub { } for 'HUP', 'INT', 'QUIT', 'USR1', 'PIPE'; # ignored ones would be for the script, too
  open STDIN, '<', '/dev/null';
  open STDOUT, '>', '/dev/null';
  open STDERR, '>', '/dev/null';
  my ($keeper, $script);
  my $made = pipe(my $out, my $to_out) && pipe(my $err, my $to_err) && pipe(my $report, my $to_report)
    && pipe(my $life, my $to_life) && put('sup', "$$\n") && defined($keeper = fork);
  if ($made && !$keeper) {
    close $_ for $news, $to_out, $to_err, $report, $to_life;
    keep($out, $err, $to_report, $life);
  }
  close $_ for grep { $_ } $out, $err, $to_report, $life;
  my ($behind, $sampler) = now(0) - now(7);
  if ($made && $hold) {
    syswrite $news, 's'; # it is there, and may wait for long
    await_release($behind);
  }
  $sampler = supervisor('sample') if $made && -s 'sampler';
  my $before = counters();
  my ($begin, $begin_up) = ($hold ? held_time($behind) : now(0), now(7));
  put('begin', "$begin\n");
  if (!$made || !defined($script = fork)) {
    kill 'TERM', $keeper if $keeper;
    syswrite $news, 'x';
    exit 1;
  }
  if (!$script) {
    syscall $setsid;
    open STDOUT, '>&', $to_out;
    open STDERR, '>&', $to_err;
    become();
    exec '/bin/sh', './go', 'here';
    exit 127;
  }
  syswrite $news, 's';
  close $_ for $to_out, $to_err;
  my $watchdog;
  while ((my $child = waitpid -1, 0) != $script) { # if somebody kills the keeper, the deadline is not lost
    next unless $child == $keeper && length $timeout;
    my $left = $begin_up + $timeout - now(7);
    $watchdog = supervisor('watch', sprintf '%.3f', $left > 0 ? $left : 0);
  }
  my ($status, $end, $end_up) = ($?, now(0), now(7));
  # It ended by itself, unless there is a reason already: one that comes now is too late.
  my $by_itself = rename 'unended', 'ended';
  if (!$by_itself) {
    for (1 .. $grace * 10 + 30) { last if line('stopped') eq '1'; pause() }
    ($end, $end_up) = (now(0), now(7));
  }
  my $escaped = end_all($by_itself);
  my $after = counters();
  syswrite $to_life, 'x';
  my $written = '';
  1 until defined sysread($report, $written, 9) || $! != 4; # EINTR
  my ($why) = map { substr $_, 4 } names('.', '^why\.');
  $why = $written eq 'all' ? '' : $written ? 'output' : 'collector' unless defined $why;
  $why = 'unstarted' unless line('pid');
  if ($watchdog || $sampler) {
    $SIG{TERM} = 'IGNORE';
    kill 'TERM', 0;
  }
  my $signal = $status & 127;
  my $result = sprintf qq(rc=%s\nsig=%s\nwhy=%s\nbegin=%s\nend=%s\nbegin_up=%s\nend_up=%s\nleft='%s'\n)
    . qq(escaped='%s'\nbefore=%s\nafter=%s\n), $signal ? 128 + $signal : $status >> 8, $signal ? 1 : 0, $why, $begin,
    $end, $begin_up, $end_up, line('left'), $escaped, $before, $after;
  put('result', $result) or put('room', "$result#", 1) && rename 'room', 'result';
  syswrite $news, "\n";
  for (names('.', '^w\.\d+$')) { # a waiter may have been killed, and its pid be somebody else's by now
    my $pid = substr $_, 2;
    kill 'USR1', $pid if line("/proc/$pid/cmdline") =~ m{\Q$dir\E/supervisor};
  }
  my ($base) = $dir =~ m{^(.*/)};
  supervisor('sweep') if grep { (-M "$base$_/conf" || 0) > 1 } names($base, '^ansible_env\.');
  done();
}

sub reply { # as `poll` of supervisor.sh would; false where that has to do it
  my %result = ("\n" . (join '', do { open my $file, '<', 'result' or return 0; <$file> })) =~ /\n(\w+)='?([^'\n]*)/g;
  my $text = '';
  my @sizes = (-s 'out' || 0, -s 'err' || 0);
  return 0 if $sizes[0] > $chunk || $sizes[1] > $chunk;
  for (0, 1) {
    open my $file, '<', ('out', 'err')[$_] or return 0;
    $sizes[$_] == 0 || sysread($file, $text, $sizes[$_], length $text) == $sizes[$_] or return 0;
  }
  $drop = 0 if line('keep') eq '1';
  $result{$_} = join '', map { ",$_" } split ' ', $result{$_} for 'left', 'escaped';
  my $fields = join ' ', map { "$_=$result{$_}" } 'rc', 'sig', 'why', 'begin', 'end', 'begin_up', 'end_up', 'left',
    'escaped', 'before', 'after';
  $text = "ansible_env:$nonce state=done $fields boot=$boot more=0 drop=$drop out=$sizes[0] err=$sizes[1]\n$text";
  while (length $text) {
    my $written = syswrite STDOUT, $text or exit 1;
    substr($text, 0, $written) = '';
  }
  drop() if $drop;
  1;
}

pipe(my $ended, my $news) or exit 98;
put('begun', '') or exit 98; # from here on, nobody may start it a second time
my $run = fork;
defined $run or unlink('begun'), exit 98;
if (!$run) {
  close $ended;
  run($news);
}
close $news;
# A later round trip that finds no `sup` takes the run for gone; on a busy target, `run` may take a while to get there.
sysread $ended, my $word, 1;
if ($word eq 'x') {
  drop();
  syswrite STDOUT, "ansible_env:$nonce state=nospace\n";
  done();
}
my $bits = '';
vec($bits, fileno $ended, 1) = 1;
select $bits, undef, undef, 1 if $wait > 0; # what takes longer is followed as usual
done() if -s 'result' && reply();
my $some = $wait <= 0 || -s 'out' || -s 'err';
exec '/bin/sh', "$dir/supervisor", 'poll', $nonce, 0, 0, $some ? 0 : $wait - 1, $tick, $chunk, 0;
