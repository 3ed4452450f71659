//! The configurations that are compared.

/// One location with a block. `%HOST%` is the server's name, `$PORT` its port, `$UP` an upstream that echoes.
pub(crate) struct Configuration {
    pub(crate) name: &'static str,
    /// Directives of `http`, once for each server.
    pub(crate) http: &'static str,
    /// Directives of the server.
    pub(crate) server: &'static str,
    /// What stands round the location, at `%LOCATION%`.
    pub(crate) around: &'static str,
    /// The location's modifier and name.
    pub(crate) location: &'static str,
    /// Directives of the location that hold for all methods.
    pub(crate) common: &'static str,
    /// Directives of the location that the block's take the place of, or that are of the methods without block.
    pub(crate) others: &'static str,
    pub(crate) methods: &'static str,
    /// Directives of the block.
    pub(crate) block: &'static str,
    /// `METHOD TARGET [NAME:VALUE]...`, `_` for a space in a value, and a body on the lines below.
    pub(crate) requests: &'static [&'static str],
}

const POST: Configuration = Configuration {
    name: "",
    http: "",
    server: "",
    around: "",
    location: "/p/",
    common: "",
    others: "",
    methods: "POST",
    block: "",
    requests: &["GET /p/a%20b?q=1", "POST /p/a%20b?q=1\nbody", "PUT /p/a\nbody", "OPTIONS /p/a"],
};
/// All methods are passed on, and answered with what was passed.
const PROXIED: Configuration = Configuration { common: "proxy_pass http://$UP;", ..POST };
/// GET, and HEAD with it, of files.
const FILES: Configuration = Configuration {
    location: "/a/",
    methods: "GET",
    requests: &[
        "GET /a/f.txt",
        "HEAD /a/f.txt",
        "GET /a/",
        "POST /a/f.txt\nx",
        "GET /a/none",
        "GET /a",
    ],
    ..POST
};

pub(crate) const CONFIGURATIONS: &[Configuration] = &[
    Configuration {
        name: "proxy_pass with a URI",
        others: "proxy_pass http://$UP/others/;",
        block: "proxy_pass http://$UP/block/;",
        ..POST
    },
    Configuration {
        name: "proxy_pass with a URI and one without",
        others: "proxy_pass http://$UP/others/;",
        block: "proxy_pass http://$UP;",
        ..POST
    },
    Configuration {
        name: "proxy_pass with variables",
        others: "proxy_pass http://$UP/others/;",
        block: "set $to $UP; proxy_pass http://$to/block$uri?m=$request_method;",
        ..POST
    },
    Configuration {
        name: "proxy_set_header, proxy_method, proxy_pass_request_body",
        common: "proxy_pass http://$UP/up/;",
        others: "proxy_set_header A others;",
        block: "proxy_set_header B $request_method; proxy_method PATCH; proxy_pass_request_body off; proxy_set_header Content-Length '';",
        ..POST
    },
    Configuration {
        name: "proxy_redirect, proxy_hide_header, proxy_cookie_path",
        common: "proxy_pass http://$UP/;",
        others: "proxy_redirect off;",
        block: "proxy_redirect http://$UP/ /mine/; proxy_hide_header X-Secret; proxy_cookie_path / /p/;",
        requests: &[
            "POST /p/reply?status=302&header=Location:http://$UP/x&header=X-Secret:1&header=Set-Cookie:a=b;path=/",
            "GET /p/reply?status=302&header=Location:http://$UP/x&header=X-Secret:1&header=Set-Cookie:a=b;path=/",
        ],
        ..POST
    },
    Configuration {
        name: "proxy_intercept_errors and error_page",
        common: "proxy_pass http://$UP/; error_page 500 /oops;",
        server: "location = /oops { return 500 \"oops $request_method\"; }",
        block: "proxy_intercept_errors on;",
        requests: &[
            "POST /p/reply?status=500&body=up",
            "GET /p/reply?status=500&body=up",
            "POST /p/reply?status=404",
        ],
        ..POST
    },
    Configuration {
        name: "proxy_cache",
        http: "proxy_cache_path temp/cache-%HOST% keys_zone=c-%HOST%:100k;",
        common: "proxy_pass http://$UP/; proxy_cache_valid any 1m; add_header X-Cache $upstream_cache_status;",
        methods: "GET",
        block: "proxy_cache c-%HOST%; proxy_cache_key $uri;",
        requests: &["GET /p/a", "GET /p/a?other", "HEAD /p/a", "POST /p/a\nbody", "GET /p/b"],
        ..POST
    },
    Configuration {
        name: "unbuffered requests and responses",
        block: "proxy_request_buffering off; proxy_buffering off; proxy_http_version 1.1; proxy_set_header X-Buffered no;",
        requests: &[
            "POST /p/a Transfer-Encoding:chunked\nsome body",
            "PUT /p/a Transfer-Encoding:chunked\nsome body",
        ],
        ..PROXIED
    },
    Configuration { name: "alias", others: "alias html/a/;", block: "alias html/b/;", ..FILES },
    Configuration {
        name: "root, index, expires and types",
        others: "root html;",
        block: "root html; index home.txt f.txt; expires 1h; types { } default_type text/x-mine;",
        ..FILES
    },
    Configuration {
        name: "autoindex",
        location: "/inner/",
        block: "autoindex on; autoindex_format json;",
        requests: &["GET /inner/?x", "HEAD /inner/", "POST /inner/", "GET /inner/x"],
        ..FILES
    },
    Configuration {
        name: "etag, ranges and charset",
        block: "etag off; max_ranges 0; charset utf-8;",
        requests: &["GET /a/f.txt Range:bytes=1-2", "HEAD /a/f.txt", "POST /a/f.txt\nx"],
        ..FILES
    },
    Configuration {
        name: "try_files of a block",
        server: "location @named { return 200 \"named $request_method $uri\"; }",
        others: "try_files /a/f.txt =404;",
        block: "try_files $uri /b/none @named;",
        ..FILES
    },
    Configuration {
        name: "try_files of a location",
        server: "location @named { return 200 \"named $request_method $uri\"; }",
        common: "try_files $uri @named;",
        block: "add_header X-Block yes; alias html/b/;",
        requests: &["GET /a/f.txt", "GET /a/none", "PUT /a/none", "POST /a/f.txt"],
        ..FILES
    },
    Configuration {
        name: "empty_gif beside proxy_pass",
        others: "empty_gif;",
        block: "proxy_pass http://$UP;",
        ..POST
    },
    Configuration {
        name: "limit_req",
        http: "limit_req_zone $server_name zone=r-%HOST%:64k rate=1r/m;",
        block: "limit_req zone=r-%HOST% burst=1 nodelay; limit_req_status 429;",
        requests: &["POST /p/a", "GET /p/a", "POST /p/b", "POST /p/c", "GET /p/a", "PUT /p/c"],
        ..PROXIED
    },
    Configuration {
        name: "limit_conn",
        http: "limit_conn_zone $server_name zone=c-%HOST%:64k;",
        server: "location /inner/ { limit_conn c-%HOST% 1; limit_conn_status 429; }",
        common: "proxy_pass http://127.0.0.1:$PORT/inner/; proxy_method GET;",
        others: "proxy_set_header Host $host;",
        block: "proxy_set_header Host $host; limit_conn c-%HOST% 1;",
        requests: &["POST /p/x", "GET /p/x", "PUT /p/x"],
        ..POST
    },
    Configuration {
        name: "auth_basic",
        others: "auth_basic off;",
        block: "auth_basic realm; auth_basic_user_file users;",
        requests: &[
            "POST /p/a",
            "POST /p/a Authorization:Basic_dTpw",
            "POST /p/a Authorization:Basic_dTpx",
            "GET /p/a",
        ],
        ..PROXIED
    },
    Configuration {
        name: "satisfy any",
        common: "proxy_pass http://$UP; auth_basic realm; auth_basic_user_file users;",
        others: "satisfy any; deny all;",
        block: "satisfy any; allow 127.0.0.1; deny all;",
        requests: &[
            "POST /p/a",
            "POST /p/a Authorization:Basic_dTpw",
            "GET /p/a",
            "GET /p/a Authorization:Basic_dTpw",
        ],
        ..POST
    },
    Configuration {
        name: "allow and deny",
        common: "proxy_pass http://$UP; error_page 403 = @closed;",
        server: "location @closed { return 403 \"closed to $request_method\"; }",
        others: "allow 127.0.0.0/8; deny all;",
        block: "deny 127.0.0.1; allow all;",
        ..POST
    },
    Configuration {
        name: "limit_except inside",
        methods: "POST PUT",
        block: "limit_except POST { deny all; }",
        ..PROXIED
    },
    Configuration {
        name: "auth_request",
        server: "location = /auth { internal; if ($http_x_pass) { return 204; } return 401; }",
        block: "auth_request /auth; auth_request_set $found $sent_http_x; add_header X-Asked yes;",
        requests: &["POST /p/a", "POST /p/a X-Pass:1", "GET /p/a", "PUT /p/a X-Pass:1"],
        ..PROXIED
    },
    Configuration {
        name: "mirror",
        server: "location = /copy { internal; proxy_pass http://$UP/copied; }",
        block: "mirror /copy; add_header X-Mirrored yes;",
        ..PROXIED
    },
    Configuration {
        name: "error_page by number, by name and by address",
        server: "location @named { return 200 \"named $request_method\"; } location = /page { return 200 page; }",
        location: "/a/",
        others: "error_page 404 = @named; error_page 405 =200 /page;",
        methods: "GET DELETE",
        block: "error_page 404 =202 /page; error_page 405 http://elsewhere.test/;",
        requests: &[
            "GET /a/none",
            "HEAD /a/none",
            "DELETE /a/f.txt",
            "POST /a/none",
            "PUT /a/f.txt",
            "GET /a/f.txt",
        ],
        ..POST
    },
    Configuration {
        name: "add_header",
        server: "add_header X-Server yes;",
        others: "add_header X-Others yes always;",
        block: "add_header X-Block $request_method always; add_header X-Second 2;",
        ..PROXIED
    },
    Configuration {
        name: "add_header of the server, taken away",
        server: "add_header X-Server $uri always; expires 1m;",
        block: "expires off; add_header X-Server none;",
        ..PROXIED
    },
    Configuration {
        name: "gzip",
        common: "proxy_pass http://$UP/reply?body=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; gzip_min_length 1; gzip_proxied any;",
        others: "gzip off;",
        block: "gzip on; gzip_types *; gzip_vary on;",
        requests: &["POST /p/a Accept-Encoding:gzip", "GET /p/a Accept-Encoding:gzip", "POST /p/a"],
        ..POST
    },
    Configuration {
        name: "sub_filter",
        common: "proxy_pass http://$UP/; sub_filter_types *;",
        others: "sub_filter others nothing;",
        block: "sub_filter word $request_method; sub_filter other '<$arg_x>'; sub_filter_once off;",
        requests: &[
            "POST /p/reply?x=1&body=word_other_word",
            "GET /p/reply?x=1&body=word_others",
            "PUT /p/reply?body=word",
        ],
        ..POST
    },
    Configuration {
        name: "ssi and its subrequests",
        location: "/ssi/",
        common: "ssi_types text/plain;",
        block: "ssi on;",
        requests: &["GET /ssi/f.txt", "HEAD /ssi/f.txt", "POST /ssi/f.txt"],
        ..FILES
    },
    Configuration {
        name: "return",
        common: "add_header X-All $request_method always;",
        others: "return 200 \"others $uri\";",
        block: "return 307 /elsewhere$uri?$args;",
        ..POST
    },
    Configuration {
        name: "rewrite and break",
        common: "proxy_pass http://$UP;",
        others: "rewrite ^/p/(.*)$ /others/$1?r=2;",
        block: "rewrite ^/p/(.*)$ /block/$1?r=1 break;",
        server: "location /others/ { return 200 \"$uri $args $request_method\"; }",
        ..POST
    },
    Configuration {
        name: "rewrite and last",
        common: "proxy_pass http://$UP;",
        server: "location /last/ { proxy_pass http://$UP/found/; add_header X-Was $was always; }",
        block: "set $was $uri; rewrite ^/p/(.*)$ /last/$1 last;",
        ..POST
    },
    Configuration {
        name: "if, set and a level inside if",
        common: "proxy_pass http://$UP; add_header X-Location $v;",
        others: "set $v others; if ($arg_x = 1) { return 418; }",
        block: "set $v block; if ($arg_x = 1) { set $v one; add_header X-If $v; } if ($arg_x = 2) { proxy_pass http://$UP; }",
        server: "set $v server;",
        requests: &["POST /p/a", "POST /p/a?x=1", "GET /p/a?x=1", "GET /p/a", "PUT /p/a?x=2"],
        ..POST
    },
    Configuration {
        name: "valid_referers",
        common: "proxy_pass http://$UP;",
        block: "valid_referers none good.test; if ($invalid_referer) { return 403; }",
        requests: &[
            "POST /p/a",
            "POST /p/a Referer:http://good.test/",
            "POST /p/a Referer:http://bad.test/",
            "GET /p/a Referer:http://bad.test/",
        ],
        ..POST
    },
    Configuration {
        name: "a larger body limit",
        common: "proxy_pass http://$UP;",
        others: "client_max_body_size 5;",
        block: "client_max_body_size 10;",
        requests: &[
            "POST /p/a\n1234567890",
            "POST /p/a\n12345678901",
            "PUT /p/a\n12345",
            "PUT /p/a\n123456",
            "POST /p/a Transfer-Encoding:chunked\n1234567890",
            "POST /p/a Transfer-Encoding:chunked\n12345678901",
            "PUT /p/a Transfer-Encoding:chunked\n12345",
            "PUT /p/a Transfer-Encoding:chunked\n123456",
        ],
        ..POST
    },
    Configuration {
        name: "a smaller body limit, in front of return",
        common: "client_body_buffer_size 1k;",
        others: "client_max_body_size 0; return 200 others;",
        block: "client_max_body_size 4; return 201 block;",
        requests: &["POST /p/a\n1234", "POST /p/a\n12345", "PUT /p/a\n12345678901234567890"],
        ..POST
    },
    Configuration {
        name: "bodies in files and buffers of other sizes",
        block: "client_body_in_file_only clean; client_body_buffer_size 16; proxy_set_header X-File $request_method; proxy_set_header Content-Type text/plain;",
        requests: &["POST /p/a\n1234567890123456789012345", "PUT /p/a\n1234567890123456789012345"],
        ..PROXIED
    },
    Configuration {
        name: "a regular expression and its captures",
        location: "~ ^/p/(?<first>[a-z]+)/(.*)$",
        common: "proxy_pass http://$UP;",
        block: "add_header X-Captured \"$first $2\"; proxy_set_header X-First $first; proxy_set_header X-Second $2;",
        requests: &["POST /p/x/y%20z", "GET /p/x/y", "POST /p/1/2"],
        ..POST
    },
    Configuration {
        name: "an exact location",
        location: "= /p/a",
        block: "proxy_pass http://$UP/exact;",
        others: "return 404;",
        requests: &["POST /p/a?x", "GET /p/a", "POST /p/ab"],
        ..POST
    },
    Configuration {
        name: "a location that regular expressions do not overrule",
        location: "^~ /p/",
        server: "location ~ a$ { return 418; }",
        ..Configuration { others: "return 200 others;", block: "proxy_pass http://$UP/;", ..POST }
    },
    Configuration {
        name: "a nested location",
        around: "location /p/ { add_header X-Outer yes; proxy_set_header X-Outer yes; proxy_pass http://$UP/outer/; auth_basic off; %LOCATION% }",
        location: "/p/in/",
        common: "proxy_pass http://$UP/inner/;",
        block: "deny all; error_page 403 = @closed;",
        server: "location @closed { return 202 closed; }",
        requests: &["POST /p/in/a", "GET /p/in/a", "POST /p/a", "PUT /p/in/"],
        ..POST
    },
    Configuration {
        name: "a nested regular expression",
        around: "location /p/ { return 200 outer; %LOCATION% }",
        location: "~ \\.q$",
        others: "return 200 others;",
        block: "return 200 \"block $uri\";",
        requests: &["POST /p/a.q", "GET /p/a.q", "POST /p/a"],
        ..POST
    },
    Configuration {
        name: "a named location",
        server: "location /p/ { try_files /none @named; }",
        location: "@named",
        others: "return 200 \"others $uri\";",
        block: "proxy_pass http://$UP; proxy_set_header X-Named $uri;",
        ..POST
    },
    Configuration {
        name: "internal",
        server: "location /to/ { rewrite ^/to/(.*)$ /p/$1 last; }",
        common: "proxy_pass http://$UP;",
        block: "internal;",
        requests: &["POST /p/a", "POST /to/a", "GET /p/a", "GET /to/a"],
        ..POST
    },
    Configuration {
        name: "an address without its last slash",
        others: "return 200 others;",
        block: "proxy_pass http://$UP/;",
        requests: &["POST /p", "POST /p/", "GET /p/"],
        ..POST
    },
    Configuration {
        name: "X-Accel-Redirect out of a block",
        server: "location /files/ { internal; alias html/p/; } location /other/ { internal; return 200 other; }",
        common: "proxy_pass http://$UP/;",
        block: "proxy_ignore_headers X-Accel-Redirect; proxy_pass_header X-Accel-Redirect;",
        requests: &[
            "POST /p/reply?header=X-Accel-Redirect:/files/f.txt&body=own",
            "GET /p/reply?header=X-Accel-Redirect:/files/f.txt",
            "PUT /p/reply?header=X-Accel-Redirect:/other/x\nbody",
        ],
        ..POST
    },
    Configuration {
        name: "key_auth and acl",
        http: "consumers c-%HOST% { consumer alice key=a groups=admin; consumer bob key=b; }",
        common: "proxy_pass http://$UP;",
        others: "key_auth off;",
        block: "key_auth c-%HOST%; acl allow=admin;",
        requests: &[
            "POST /p/a",
            "POST /p/a X-API-Key:b",
            "POST /p/a X-API-Key:a",
            "GET /p/a X-API-Key:a",
        ],
        ..POST
    },
    Configuration {
        name: "validate_body and policy_errors",
        others: "policy_errors json;",
        block: "validate_body schema.json; policy_errors problem;",
        requests: &[
            "POST /p/a Content-Type:application/json\n{\"n\":1}",
            "POST /p/a Content-Type:application/json\n{}",
            "POST /p/a",
            "PUT /p/a Content-Type:application/json\n{}",
        ],
        ..PROXIED
    },
    Configuration {
        name: "cors and response_json",
        common: "proxy_pass http://$UP/;",
        others: "cors origins=http://a.test;",
        block: "cors origins=http://b.test credentials; response_json remove=secret add=m:1;",
        requests: &[
            "POST /p/reply?body={\"secret\":1} Origin:http://b.test",
            "POST /p/reply?body={\"secret\":1} Origin:http://a.test",
            "GET /p/reply?body={\"secret\":1} Origin:http://a.test",
        ],
        ..POST
    },
];
