#!/usr/bin/env bash
# nginx.sh DIR PORT LOG: an nginx in the foreground that buffers whole requests and hands them to a second server of its own; what the first
# understood goes to LOG as JSON, a line a request. What the second answered (204 with x-upstream) is a request that was read whole.
set -euo pipefail
dir=$1
mkdir -p "$dir"
cat >"$dir/nginx.conf" <<CONF
daemon off;
worker_processes 1;
pid $dir/pid;
error_log $dir/error.log error;
events { worker_connections 1024; }
http {
    client_body_temp_path $dir/body; proxy_temp_path $dir/proxy; fastcgi_temp_path $dir/f; uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    log_format seen escape=json '{"status": \$status, "method": "\$request_method", "target": "\$request_uri", "host": "\$http_host", "key": "\$http_x_api_key", '
        '"others": ["\$http_authorization", "\$http_x_goog_api_key", "\$http_cookie", "\$http_proxy_authorization", "\$http_api_key", "\$arg_key"], '
        '"line": "\$request"}';
    access_log off;
    large_client_header_buffers 8 128k;
    client_max_body_size 0;
    keepalive_requests 100000000;
    keepalive_timeout 60;
    underscores_in_headers on;
    upstream second { server unix:$dir/second; keepalive 16; }
    server {
        listen 127.0.0.1:$2;
        access_log $3 seen;
        location / {
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_pass http://second;
        }
    }
    server {
        listen unix:$dir/second;
        add_header x-upstream nginx always;
        return 204;
    }
}
CONF
exec nginx -p "$dir" -c "$dir/nginx.conf" -e "$dir/error.log"
