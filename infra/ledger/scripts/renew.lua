-- renew: a worker's lease goes on; its record, as `rq info` reads it, and its manifest are written again.
-- One script, because a worker must not look alive without holding its lease, nor hold it unseen.
-- What it handles is remembered beyond its end, for what comes while no worker lives.
-- Everything is written each time: whatever emptied Redis, the next renewal registers the worker anew.
--
-- ARGV  1 worker · 2 lease in ms · 3 how long RQ may show it, in s · 4 manifest (JSON) · 5 number of queues
--       then the queues, then fields and values of RQ's worker hash
-- Reply 'kept', or 'lost', once, where the lease had been given away: what it ran is run elsewhere.

local worker, lease = ARGV[1], tonumber(ARGV[2])
local lost = fields(K.held .. worker, 'lost')[1]

put('ZADD', K.leases, whole(now + lease), worker)
put('HSET', K.held .. worker, 'manifest', ARGV[4])
if lost then redis.call('HDEL', K.held .. worker, 'lost') end
redis.call('PEXPIRE', K.held .. worker, whole(lease * 10))

local told = collector('HSET')
for _, entry in ipairs(decoded(ARGV[4]) or {}) do
  entry.at = now
  told.add(K.told, tostring(entry.source) .. ':' .. tostring(entry.type), cjson.encode(entry))
end
told.write()

local names = tonumber(ARGV[5])
local state = redis.call('EXISTS', K.running .. worker) == 1 and 'busy' or 'idle'
put('HSET', K.worker .. worker, 'state', state, 'last_heartbeat', stamp, unpack(ARGV, 6 + names))
redis.call('HSETNX', K.worker .. worker, 'birth', stamp)
redis.call('EXPIRE', K.worker .. worker, ARGV[3])
put('SADD', K.workers, K.worker .. worker)
for place = 6, 5 + names do
  put('SADD', K.workers_of .. ARGV[place], K.worker .. worker)
  put('SADD', K.queues, K.queue .. ARGV[place])
end
return lost and 'lost' or 'kept'
