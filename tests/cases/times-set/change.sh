set -e
echo 2 > f
touch -d "2001-02-03 04:05:06.123456789" f
echo 3 > d/n
touch -d "2002-02-03 04:05:06.000000001" d/n
touch -d 2003-02-03 d
ln -sfn d l
touch -h -d 2004-02-03 l
echo 2 > h
touch -d 2005-02-03 h
mkdir n
touch -d 2006-02-03 n
touch -d 2007-02-03 .
