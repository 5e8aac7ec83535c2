-- halt: a bulk replay that runs is stopped by hand. What it has begun goes on; whoever holds its next page is fenced.
-- One script, because what has ended must stay as it ended.
--
-- ARGV  1 its id · 2 who stops it
-- Reply 1, or 0 where it does not run and nothing was changed

local run = ARGV[1]
if fields(K.replay .. run, 'status')[1] ~= 'running' then return 0 end
put('HSET', K.replay .. run, 'status', 'stopped', 'reason', 'by ' .. ARGV[2], 'ended', whole(now), 'lease', '')
put('ZADD', K.replays_due, whole(now), run)
redis.call('PUBLISH', K.wake, 'replay')
return 1
