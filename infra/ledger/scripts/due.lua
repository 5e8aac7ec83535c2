-- due: pending callbacks whose time has come, each leased to one sender for a while.
-- One script, because a callback must not be sent by two at once; if its sender dies, it falls due again.
--
-- ARGV  1 sender · 2 sequence · 3 most callbacks · 4 how long the sender may take, in ms
-- Reply {ms until the next is due or -1, {callback, job, event, token, attempts}, …}

local token = ARGV[1] .. '-' .. ARGV[2]
local reply = {-1}
for _, id in ipairs(put('ZRANGE', K.outbox, '-inf', whole(now), 'BYSCORE', 'LIMIT', 0, ARGV[3])) do
  local record = fields(K.callback .. id, 'job', 'event', 'status', 'attempts')
  if record[3] == 'pending' and record[1] and record[2] then
    put('HSET', K.callback .. id, 'lease', token)
    put('ZADD', K.outbox, whole(now + tonumber(ARGV[4])), id)
    reply[#reply + 1] = {id, record[1], record[2], token, whole(tonumber(record[4]) or 0)}
  else
    put('ZREM', K.outbox, id)
    if record[3] ~= 'delivered' and record[3] ~= 'blocked' and record[3] ~= 'dead' then
      put('HSET', K.quarantine, string.sub(id, 1, 64), cjson.encode({reason = 'its callback record is mangled', at = stamp}))
      count(K.counts, 'quarantined', 1)
    end
  end
end
local first = put('ZRANGE', K.outbox, 0, 0, 'WITHSCORES')
if first[2] then reply[1] = math.max(0, tonumber(first[2]) - now) end
return reply
