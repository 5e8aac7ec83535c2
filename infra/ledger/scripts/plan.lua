-- plan: nothing → a bulk replay that runs: what it is, and the jobs that it is to look at, in their order.
-- One script, because a bulk replay without its plan would say that it has finished.
--
-- ARGV  1 its id · 2 number of names and values that follow · those of its record · then job ids
-- Reply 1, or 0 where it was there before and nothing was changed

local MOST = 1000      -- bulk replays that are listed
local AT_ONCE = 1000   -- members that one command takes
local run, first = ARGV[1], 3 + tonumber(ARGV[2])
if redis.call('EXISTS', K.replay .. run) == 1 then return 0 end
put('HSET', K.replay .. run, 'status', 'running', 'created', whole(now), 'total', whole(#ARGV - first + 1), unpack(ARGV, 3, first - 1))
for from = first, #ARGV, AT_ONCE do
  put('RPUSH', K.replay_plan .. run, unpack(ARGV, from, math.min(#ARGV, from + AT_ONCE - 1)))
end
put('ZADD', K.replays, whole(now), run)
redis.call('ZREMRANGEBYRANK', K.replays, '0', whole(-MOST - 1))
put('ZADD', K.replays_due, whole(now), run)
redis.call('PUBLISH', K.wake, 'replay')
return 1
