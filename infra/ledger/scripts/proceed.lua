-- proceed: the next jobs of a bulk replay that is due, leased to one worker; `again` runs them. Before that, what has become of
-- those that it began is counted: running → finished when all have ended, → stopped when too many have failed.
-- One script, because two workers must not run the same page, and what has ended is counted once.
--
-- ARGV  1 token · 2 how long the worker may take, in ms · 3 how long an ended bulk replay is kept, in ms
-- Reply {ms until the next is due or -1}; or {0, bulk replay, who wants it, queue, rate a second, job id, …}

local LOOK_AGAIN = 1000     -- ms, where the jobs that were begun have to end first
local COUNTED = 200         -- jobs whose end is looked for, a turn
local MOST_OPEN = 1000      -- jobs of one bulk replay that have begun and not ended
local LONGEST = 86400000    -- a score may be anything; nobody needs to know of more than a day
local RESCUED = 20          -- bulk replays that are looked at where none is due
local ENDS = {finished = 'succeeded', failed = 'failed', canceled = 'canceled'}

local function is_replay(run) return #run == 30 and string.find(run, '^rep_%w+$') end

local function share(text, default)
  local value = tonumber(text or '')
  return value and value >= 0 and value <= 1 and value or default
end

local function count_ends(run)
  for _, job in ipairs(put('SRANDMEMBER', K.replay_open .. run, COUNTED)) do
    local status, outcome = unpack(fields(K.job .. job, 'status', 'outcome'), 1, 2)
    if not status or ENDS[status] then
      put('SREM', K.replay_open .. run, job)
      if status then count(K.replay .. run, outcome == 'ignored' and outcome or ENDS[status], 1) end
    end
  end
end

local function tidy(run)
  put('ZREM', K.replays_due, run)
  if not is_replay(run) then return end
  redis.call('DEL', K.replay_plan .. run, K.replay_open .. run)
  redis.call('PEXPIRE', K.replay .. run, ARGV[3])
end

local function close(run, status, reason)
  put('HSET', K.replay .. run, 'status', status, 'reason', reason, 'ended', whole(now), 'lease', '')
  tidy(run)
end

-- The jobs that it goes on with, or nil where there are none now.
local function next_of(run)
  if not is_replay(run) or fields(K.replay .. run, 'status')[1] ~= 'running' then return tidy(run) end
  count_ends(run)
  local record = fields(K.replay .. run, 'succeeded', 'failed', 'share', 'least', 'rate')
  local failures = natural(record[2], 0)
  local ended = natural(record[1], 0) + failures
  if ended >= natural(record[4], 20) and failures > ended * share(record[3], 0.2) then
    return close(run, 'stopped', 'too many failed')
  end
  local left, open = put('LLEN', K.replay_plan .. run), put('SCARD', K.replay_open .. run)
  if left == 0 and open == 0 then return close(run, 'finished', '') end
  if left == 0 or open >= MOST_OPEN then
    put('ZADD', K.replays_due, whole(now + LOOK_AGAIN), run)
    return
  end
  local rate = math.max(1, natural(record[5], 50))
  put('HSET', K.replay .. run, 'lease', ARGV[1])
  put('ZADD', K.replays_due, whole(now + tonumber(ARGV[2])), run)
  local known = fields(K.replay .. run, 'by', 'queue')
  return {0, run, known[1] or '', is_queue(known[2]) and known[2] or 'low', whole(rate),
    unpack(put('LRANGE', K.replay_plan .. run, '0', math.min(100, rate) - 1))}
end

for _, run in ipairs(put('ZRANGE', K.replays_due, '-inf', whole(now), 'BYSCORE', 'LIMIT', '0', '16')) do
  local found = next_of(run)
  if found then return found end
end
local first = put('ZRANGE', K.replays_due, '0', '0', 'WITHSCORES')
if first[2] then return {math.ceil(math.min(LONGEST, math.max(0, tonumber(first[2]) - now)))} end
for _, run in ipairs(put('ZRANGE', K.replays, '0', whole(RESCUED - 1), 'REV')) do
  if is_replay(run) and fields(K.replay .. run, 'status')[1] == 'running' then
    put('ZADD', K.replays_due, whole(now), run)
    return {0}
  end
end
return {-1}
