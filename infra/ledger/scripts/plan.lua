-- plan: nothing → a bulk replay that runs: what it is, and the jobs that it is to look at, in their order.
-- One script, because a bulk replay without its plan would say that it has finished, and of one kind two would run.
--
-- ARGV  1 its id · 2 its kind, of which no two may run, or '' · 3 number of names and values that follow · those of its record · then job ids
-- Reply its id; where it was there before, or another of its kind runs, the id of that one, and nothing was changed

local MOST = 1000      -- bulk replays that are listed
local AT_ONCE = 1000   -- members that one command takes
local LOOKED_AT = 1000 -- bulk replays that run
local run, kind, first = ARGV[1], ARGV[2], 4 + tonumber(ARGV[3])

local function runs(other)
  local status, its = unpack(fields(K.replay .. other, 'status', 'kind'), 1, 2)
  return status == 'running' and its == kind
end

if redis.call('EXISTS', K.replay .. run) == 1 then return run end
if kind ~= '' then
  for _, other in ipairs(put('ZRANGE', K.replays_due, '0', whole(LOOKED_AT - 1))) do
    if runs(other) then return other end
  end
end
put('HSET', K.replay .. run, 'status', 'running', 'kind', kind, 'created', whole(now), 'total', whole(#ARGV - first + 1),
  unpack(ARGV, 4, first - 1))
for from = first, #ARGV, AT_ONCE do
  put('RPUSH', K.replay_plan .. run, unpack(ARGV, from, math.min(#ARGV, from + AT_ONCE - 1)))
end
put('ZADD', K.replays, whole(now), run)
redis.call('ZREMRANGEBYRANK', K.replays, '0', whole(-MOST - 1))
put('ZADD', K.replays_due, whole(now), run)
redis.call('PUBLISH', K.wake, 'replay')
return run
