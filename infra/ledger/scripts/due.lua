-- due: pending callbacks whose time has come, each leased to one sender for a while, with what they tell.
-- One script, because a callback must not be sent by two at once; if its sender dies, it falls due again.
--
-- ARGV  1 sender · 2 sequence · 3 most callbacks · 4 how long the sender may take, in ms
-- Reply {ms until the next is due or -1, number of receivers that are paused,
--        {callback, job, event, token, attempts, attempts before it was redelivered, the event's head, the job's birth,
--         names and values of the job's record, the newest entry of its results}, …}

local LONGEST = 86400000   -- a score may be anything; nobody needs to know of more than a day
local LARGE = 4194304      -- bytes of results that one reply takes; the next turn has the rest
local TOLD = {'event', 'status', 'outcome', 'origin', 'round', 'attempt', 'created_at', 'started_at', 'ended_at'}
local token = ARGV[1] .. '-' .. ARGV[2]
local reply = {-1, put('ZCARD', K.paused)}
local room = LARGE

local function size_of(entry)
  local size = 0
  for _, text in ipairs(entry and entry[2] or {}) do size = size + #text end
  return size
end

-- What is to be told of a job, as names and values; how an earlier round ended is kept by itself.
local function told_of(job, round)
  local names = {unpack(TOLD)}
  names[#names + 1] = 'round:' .. whole(round)
  local told = {}
  for place, value in ipairs(fields(K.job .. job, unpack(names))) do
    if value then
      told[#told + 1] = names[place]
      told[#told + 1] = value
    end
  end
  return told
end

local function take(id, job, record)
  put('HSET', K.callback .. id, 'lease', token)
  put('ZADD', K.outbox, whole(now + tonumber(ARGV[4])), id)
  local told = told_of(job, natural(string.match(id, '%-(%d+)$'), 1))
  local event = told[1] == 'event' and event_of(job, told[2]) or home_of(job)
  local known = fields(K.event .. event, 'head', 'job:' .. job)
  local newest = put('XREVRANGE', K.results .. job, '+', '-', 'COUNT', '1')[1]
  room = room - size_of(newest)
  local attempts = natural(record[2], 0)
  reply[#reply + 1] = {id, job, event, token, whole(attempts), whole(math.min(attempts, natural(record[3], 0))),
    known[1], known[2], told, newest or {}}
end

for _, id in ipairs(put('ZRANGE', K.outbox, '-inf', whole(now), 'BYSCORE', 'LIMIT', '0', ARGV[3])) do
  if room <= 0 then break end
  local job, record = callback_record(id, 'attempts', 'earlier')
  if job and record[1] == 'pending' then
    take(id, job, record)
  else
    put('ZREM', K.outbox, id)
    if not job then note(id, 'neither the callback nor its job can be read') end
  end
end
local first = put('ZRANGE', K.outbox, '0', '0', 'WITHSCORES')
if first[2] then reply[1] = math.ceil(math.min(LONGEST, math.max(0, tonumber(first[2]) - now))) end
return reply
