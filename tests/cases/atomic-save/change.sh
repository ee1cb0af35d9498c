set -e
echo 2 > .f.new
chmod 640 .f.new
chown 34:34 .f.new
mv .f.new f
