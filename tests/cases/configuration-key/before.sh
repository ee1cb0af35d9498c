set -e
printf "[a]\nworkers = 2\nother = 1\n" > app.ini
