-- remember: how much came in the last hours, and how long the queues were, in place of what was remembered before.
-- One script, because a reader must not find half of it.
--
-- ARGV  names and numbers
-- Reply 1

redis.call('DEL', K.history)
for place = 1, #ARGV, 2 do redis.call('HSET', K.history, ARGV[place], ARGV[place + 1]) end
return 1
