-- due: pending callbacks whose time has come, each leased to one sender for a while.
-- One script, because a callback must not be sent by two at once; if its sender dies, it falls due again.
--
-- ARGV  1 sender · 2 sequence · 3 most callbacks · 4 how long the sender may take, in ms
-- Reply {ms until the next is due or -1, {callback, job, event, token, attempts, attempts before it was redelivered}, …}

local LONGEST = 86400000   -- a score may be anything; nobody needs to know of more than a day
local token = ARGV[1] .. '-' .. ARGV[2]
local reply = {-1}
for _, id in ipairs(put('ZRANGE', K.outbox, '-inf', whole(now), 'BYSCORE', 'LIMIT', '0', ARGV[3])) do
  local job, record = callback_record(id, 'attempts', 'earlier')
  if job and record[1] == 'pending' then
    put('HSET', K.callback .. id, 'lease', token)
    put('ZADD', K.outbox, whole(now + tonumber(ARGV[4])), id)
    local event = event_of(job, fields(K.job .. job, 'event')[1])
    local attempts = natural(record[2], 0)
    reply[#reply + 1] = {id, job, event, token, whole(attempts), whole(math.min(attempts, natural(record[3], 0)))}
  else
    put('ZREM', K.outbox, id)
    if not job then note(id, 'neither the callback nor its job can be read') end
  end
end
local first = put('ZRANGE', K.outbox, '0', '0', 'WITHSCORES')
if first[2] then reply[1] = math.ceil(math.min(LONGEST, math.max(0, tonumber(first[2]) - now))) end
return reply
