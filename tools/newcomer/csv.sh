# A table in, the same table out with the answers behind its columns.
set -eu
cat >reviews.csv <<'END'
id,text
1,"a warm, funny and moving film"
2,"an hour too long,
and not one ""laugh"""
3,a joy from the first minute to the last
END
reprise/build/reprise classify --csv -f reviews.csv >answered.csv
cat answered.csv
head -n 1 answered.csv | grep -q '^id,text,label,score'
grep -q '^1,"a warm, funny and moving film",POSITIVE,0\.' answered.csv
grep -q '^and not one ""laugh""",NEGATIVE,0\.' answered.csv
grep -q '^3,a joy from the first minute to the last,POSITIVE,0\.' answered.csv
