-- batch: notes which jobs were submitted together, until nobody can ask for them any more.
-- One script, because a record that is not given its end in the same step could stay forever.
--
-- ARGV  1 its id · 2 what it tells (seal + JSON) · 3 for how long, in ms
-- Reply 1

put('SET', K.batch .. ARGV[1], ARGV[2], 'PX', ARGV[3])
return 1
