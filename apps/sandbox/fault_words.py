"""What each fault does and what a good client makes of it, in words, for developers who try theirs."""

CONTENT = "Nội dung danh sách bị sai (danh mục, cả kiểu phong bì)"
BYTES = "Câu trả lời không phải dữ liệu mong đợi"
WIRE = "Đường truyền"
BEFORE = "Mã truy cập"

WORDS: dict[str, tuple[str, str, str]] = {
    "duplicated": (CONTENT, "Ba bản ghi đầu xuất hiện hai lần", "Không chọn giúp; giữ danh sách lại"),
    "other_name_twice": (CONTENT, "Một mã hai lần với hai tên khác nhau", "Không chọn giúp; giữ danh sách lại"),
    "nfd_twins": (CONTENT, "Hai mã chỉ khác nhau một ký tự không nhìn thấy", "Từ chối bản ghi"),
    "nfd": (CONTENT, "Mọi chữ ở dạng tách dấu (Unicode NFD)", "Từ chối bản ghi, hoặc chuẩn hóa có ghi nhận"),
    "shrunk": (CONTENT, "Chỉ còn 10 % bản ghi", "Giữ lại; không coi 90 % kia là đã hết hiệu lực"),
    "empty": (CONTENT, "Danh sách rỗng", "Giữ lại; danh sách rỗng không bao giờ là danh mục"),
    "grown": (CONTENT, "Dài gấp 10 lần", "Giữ lại"),
    "cyclic": (CONTENT, "Hai bản ghi là cấp trên của nhau", "Từ chối bản ghi"),
    "self_parent": (CONTENT, "Bản ghi là cấp trên của chính nó", "Từ chối bản ghi"),
    "orphan": (CONTENT, "Cấp trên không tồn tại", "Từ chối bản ghi"),
    "reused": (CONTENT, "Mã cũ mang nghĩa hoàn toàn khác", "Giữ lại: tên quá xa tên đang dùng"),
    "bad_date": (CONTENT, "Ngày 31/02/2026 ở các cột ngày", "Từ chối bản ghi"),
    "one_name": (CONTENT, "Một tên dài thêm một chút (thay đổi vô hại)", "Nhận"),
    "no_key": (CONTENT, "Bản ghi đầu không có mã", "Từ chối bản ghi"),
    "numbers": (CONTENT, "Mã là số, mất các số 0 ở đầu", "Từ chối: mã là văn bản"),
    "not_a_list": (CONTENT, "Mảng bị bọc trong một đối tượng", "Dừng: giao diện đã đổi"),
    "not_records": (CONTENT, "Mảng các mảng, không có tên cột", "Dừng: giao diện đã đổi"),
    "null": (CONTENT, "null thay cho mảng", "Dừng: giao diện đã đổi"),
    "renamed_columns": (CONTENT, "Các cột đổi tên", "Dừng: giao diện đã đổi"),
    "html_200": (BYTES, "Trang đăng nhập HTML với mã 200", "Thử lại sau; không bao giờ coi là dữ liệu"),
    "bom": (BYTES, "JSON có BOM ở đầu", "Thử lại sau, báo cho bên gửi"),
    "utf16": (BYTES, "JSON mã hóa UTF-16", "Thử lại sau, báo cho bên gửi"),
    "invalid_utf8": (BYTES, "Byte không phải UTF-8", "Thử lại sau; không thay bằng dấu ?"),
    "cut_json": (BYTES, "Nửa đầu của JSON, độ dài khai báo đúng", "Thử lại sau"),
    "no_body": (BYTES, "Mã 200 không có nội dung", "Thử lại sau"),
    "xml_fault": (BYTES, "Lỗi WSO2 dạng XML, mã 500", "Đọc được mã lỗi, thử lại sau"),
    "json_fault": (BYTES, "Lỗi WSO2 dạng JSON, mã 500", "Đọc được mã lỗi, thử lại sau"),
    "fault_200": (BYTES, "Lỗi WSO2 nhưng mã 200", "Nhận ra là lỗi, thử lại sau"),
    "429": (BYTES, "Quá hạn mức, có Retry-After bằng seconds", "Chờ đúng thời gian được yêu cầu"),
    "503": (BYTES, "Hệ thống phía sau tạm ngưng", "Thử lại, giãn dần, có giới hạn số lần"),
    "500": (BYTES, "Lỗi 500 kèm trang HTML", "Thử lại, giãn dần, có giới hạn số lần"),
    "403": (BYTES, "Không có quyền dùng giao diện (900908)", "Dừng ngay, báo người"),
    "redirect": (BYTES, "Chuyển hướng tới một địa chỉ nội bộ", "Không đi theo"),
    "truncated": (WIRE, "Đứt giữa chừng, thiếu byte so với độ dài khai báo (bytes)", "Không dùng phần đã nhận; thử lại"),
    "drip": (WIRE, "Nhỏ giọt từng byte, mỗi byte cách nhau seconds (tối đa 1)", "Cần thời hạn tổng cho cả lời gọi"),
    "hang": (WIRE, "Im lặng seconds giây rồi đóng", "Hết thời hạn, thử lại"),
    "reset": (WIRE, "RST sau bytes byte", "Thử lại"),
    "store_then_drop": (WIRE, "Đã lưu bản ghi đẩy lên rồi mới đứt, không có câu trả lời", "Đọc lại trước khi gửi: không gửi hai lần"),
    "expire_tokens": (BEFORE, "Mọi mã truy cập bị thu hồi trước lời gọi này", "Lấy mã mới một lần rồi đi tiếp"),
    "refuse_client": (BEFORE, "Khóa và mật khẩu bị từ chối (ở /token)", "Dừng ngay: thử mãi sẽ bị khóa tài khoản"),
}  # fmt: skip
"""Mode → (group, what happens, what a good client does)."""
